import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import nodeCrypto from 'node:crypto';
import dns from 'node:dns';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import os from 'node:os';
import { test } from 'node:test';
import timers from 'node:timers';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { simulate } from '../../../src/entry/sim.ts';
import { newEventLoop, sleep } from '../../../src/index.ts';
import { tsArguments } from '../../helpers/typescript.ts';

const OBJECTS: readonly object[] = [
  globalThis,
  process,
  process.hrtime,
  Date,
  Date.prototype,
  Math,
  Intl.DateTimeFormat.prototype,
  Object.getPrototypeOf(performance),
  Object.getPrototypeOf(globalThis.crypto),
  nodeCrypto,
  timers,
  dns,
  dns.promises,
  dns.Resolver.prototype,
  dns.promises.Resolver.prototype,
  net,
  net.Socket.prototype,
  net.Server.prototype,
  tls,
  tls.TLSSocket.prototype,
  http,
  http.Agent.prototype,
  http.OutgoingMessage.prototype,
  http2,
  os,
  fs,
  fs.promises,
  childProcess,
  childProcess.ChildProcess.prototype,
];

/** Returns the properties of the objects. A getter that does not depend on this process is called. */
function properties(): Record<PropertyKey, PropertyDescriptor>[] {
  return OBJECTS.map((object) => Object.getOwnPropertyDescriptors(object));
}

/** The names of the properties that differ. */
function differences(
  before: Record<PropertyKey, PropertyDescriptor>[],
  after: Record<PropertyKey, PropertyDescriptor>[],
): string[] {
  return before.flatMap((descriptors, i) => {
    const others = after[i] as Record<PropertyKey, PropertyDescriptor>;
    return Reflect.ownKeys({ ...descriptors, ...others })
      .filter((key) => {
        const [one, other] = [descriptors[key], others[key]];
        return (['value', 'get', 'set', 'writable', 'enumerable', 'configurable'] as const).some(
          (flag) => !Object.is(one?.[flag], other?.[flag]),
        );
      })
      .map((key) => `${i} ${String(key)}`);
  });
}

test('after simulations that ran at once, failed or succeeded, all of Node is as before', async () => {
  // Node defines some of them at their first use.
  void [globalThis.Response, globalThis.AbortController, globalThis.crypto];
  newEventLoop().close(); // the first loop installs the hook for inspectors
  const before = properties();
  await Promise.allSettled([
    simulate(async (world) => {
      await world.host('host').run(async () => {
        await fetch('http://nowhere/').catch(() => {});
      });
      assert.notDeepEqual(differences(before, properties()), []);
    }),
    simulate(async () => {
      await sleep(10);
      throw new Error('failed');
    }),
  ]);
  assert.deepEqual(differences(before, properties()), []);
});

test('two simulations at once do not disturb each other', async () => {
  const run = (seconds: number): Promise<unknown> =>
    simulate({ seed: seconds }, async (world) => {
      await world.host('server').run(async () => {
        http.createServer((_request, response) => response.end(String(Date.now()))).listen(80);
      });
      return await world.host('client').run(async () => {
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        const shown = await (await fetch('http://server/')).text();
        return [Number(shown) - Date.UTC(2025, 0, 1), Math.random()];
      });
    }).then(({ value }) => value);
  const alone = [await run(10), await run(20)];
  assert.deepEqual(await Promise.all([run(10), run(20)]), alone);
});

test('a function that another tool has replaced during a simulation is left to that tool', async () => {
  const { random } = Math;
  let wrapped: () => number = random;
  await simulate(async () => {
    const during = Math.random;
    wrapped = () => during() / 2;
    Math.random = wrapped;
  });
  try {
    assert.equal(Math.random, wrapped);
    assert.ok(Math.random() < 0.5);
  } finally {
    Math.random = random;
  }
});

test('ports, threads and watchers of a host do not keep the process alive after the simulation', async () => {
  const program = fileURLToPath(new URL('keepers.child.ts', import.meta.url));
  const { stdout } = await promisify(childProcess.execFile)(process.execPath, tsArguments(program));
  assert.equal(stdout, 'a message\n');
});
