import assert from 'node:assert/strict';
import { pbkdf2, scrypt } from 'node:crypto';
import { createReadStream, stat, watch } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';
import { gunzip, gzip } from 'node:zlib';
import { SimulationError, simulate } from '../../../src/entry/sim.ts';

const FILE = fileURLToPath(import.meta.url);
/** A module with no code but an export. */
const WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

const WORK: Readonly<Record<string, () => Promise<unknown>>> = {
  'a file': () => readFile(FILE),
  'a stream of a file': async () => {
    for await (const chunk of createReadStream(FILE, { highWaterMark: 500 })) assert.ok(chunk.length > 0);
  },
  'a handle of a file': async () => {
    await using handle = await open(FILE);
    const { size } = await handle.stat();
    assert.equal((await handle.readFile()).length, size);
  },
  'a file with a callback': async () => {
    assert.ok((await promisify(stat)(FILE)).size > 0);
    assert.throws(() => stat(FILE, undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(promisify(stat)('/none'), { code: 'ENOENT' });
  },
  'a key of node:crypto': () => promisify(pbkdf2)('password', 'salt', 20_000, 32, 'sha256'),
  'another key of node:crypto': () => promisify(scrypt)('password', 'salt', 32),
  'a digest of Web Crypto': async () => {
    const key = await crypto.subtle.importKey('raw', Buffer.from('password'), 'PBKDF2', false, [
      'deriveBits',
    ]);
    const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt: Buffer.from('salt'), iterations: 20_000 };
    await crypto.subtle.deriveBits(algorithm, key, 256);
  },
  'a compression': async () => {
    const packed = await promisify(gzip)(Buffer.alloc(1_000_000, 'text'));
    assert.equal((await promisify(gunzip)(packed)).length, 1_000_000);
  },
  'a module of WebAssembly': () => WebAssembly.compile(WASM),
  'a blob': () => new Blob(['text'.repeat(10_000)]).arrayBuffer(),
  'a message of a channel': async () => {
    const { port1, port2 } = new MessageChannel();
    const got = new Promise((resolve) => port2.on('message', resolve));
    port1.postMessage('message');
    assert.equal(await got, 'message');
    port1.close();
  },
  'an imported module': () => import('./hosts.ts'),
};

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<object> };

describe('real work of a simulated host', () => {
  for (const [name, work] of Object.entries(WORK)) {
    test(`${name} takes no virtual time, and no timer comes before it is done`, async () => {
      await simulate(async (world) => {
        await world.host('host').run(async () => {
          let ticks = 0;
          const interval = setInterval(() => ticks++, 1);
          await work();
          assert.ok(performance.now() < 0.001);
          assert.equal(ticks, 0);
          await promises.setTimeout(10);
          assert.ok(ticks >= 9);
          clearInterval(interval);
        });
      });
    });
  }

  test('computations and files of several hosts end in one order, which the seed decides', async () => {
    const run = async (): Promise<string[]> => {
      const log: string[] = [];
      await simulate({ seed: 9 }, async (world) => {
        const programs = Array.from({ length: 4 }, (_, i) =>
          world.host(`host${i}`).run(async () => {
            await promises.setTimeout(Math.floor(Math.random() * 3));
            await Promise.all(
              Object.entries(WORK)
                .filter(([name]) => /crypto|Crypto|compression|file/.test(name))
                .map(async ([name, work]) => {
                  await work();
                  log.push(`${i} ${name}`);
                }),
            );
          }),
        );
        await Promise.all(programs);
      });
      return log;
    };
    const first = await run();
    assert.equal(first.length, 32);
    for (let again = 0; again < 3; again++) assert.deepEqual(await run(), first);
  });

  test('work that lasts too long fails the simulation, and the error says who began it', async () => {
    const opened: { close(): void }[] = [];
    const failing = simulate({ seed: 1, realWorkLimit: 0.3 }, async (world) => {
      await world.host('watcher').run(async () => {
        opened.push(watch(tmpdir()));
        await promises.setTimeout(1000);
      });
    });
    await assert.rejects(failing, (error: unknown) => {
      assert.ok(error instanceof SimulationError);
      assert.equal(error.code, 'ERR_SIMULATION_REAL_WORK');
      assert.match(error.message, /0\.3 s: a watcher of files \(FSEVENTWRAP\) of host watcher/);
      assert.match(error.message, /real-work\.test\.ts:\d+/);
      return true;
    });
    for (const one of opened) one.close();
  });

  test('a worker thread may answer, and time goes on when it has ended', async () => {
    await simulate(async (world) => {
      await world.host('host').run(async () => {
        const worker = new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true });
        const answer = await new Promise((resolve) => worker.once('message', resolve));
        assert.equal(answer, 42);
        assert.equal(performance.now(), 0);
        await promises.setTimeout(1000);
        assert.equal(performance.now(), 1000);
      });
    });
  });
});
