import assert from 'node:assert/strict';
import { execFile, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import { simulate } from '../../../src/entry/sim.ts';
import { sleep } from '../../../src/index.ts';

/** Starts a server that answers with the number of its requests. */
async function serve(): Promise<void> {
  let requests = 0;
  const server = http.createServer((_request, response) => response.end(String(++requests)));
  await once(server.listen(80), 'listening');
}

async function ask(): Promise<string> {
  return await (await fetch('http://server/', { headers: { connection: 'close' } })).text();
}

describe('programs of Node on simulated hosts', () => {
  test('a server keeps its program alive, and loses its memory and its port with it', async () => {
    await simulate(async (world) => {
      const server = world.host('server');
      const client = world.host('client');
      await server.run(serve);
      assert.deepEqual(server.programs, ['main']);
      assert.equal(await client.run(ask), '1');
      assert.equal(await client.run(ask), '2');
      await server.crash();
      const lost = client.run(ask);
      await assert.rejects(lost, { message: 'fetch failed' });
      await server.restart();
      await sleep(1);
      assert.equal(await client.run(ask), '1');
    });
  });

  test('timers of a program that has ended never fire, and its connections are closed', async () => {
    let fired = 0;
    await simulate(async (world) => {
      const server = world.host('server');
      const ended: string[] = [];
      await server.run(async () => {
        const listening = net.createServer((socket) => {
          socket.on('error', () => {});
          socket.resume().on('close', () => ended.push('closed'));
        });
        await once(listening.listen(80), 'listening');
      });
      const client = world.host('client').run(async () => {
        setInterval(() => fired++, 1000);
        await once(net.connect(80, 'server'), 'connect');
        await promises.setTimeout(2500);
        process.exit(0);
      });
      await client.catch(() => {});
      await sleep(100);
      assert.equal(fired, 2);
      assert.deepEqual(ended, ['closed']);
    });
  });

  test('a paused host has no timers and no events, and has them all when it resumes', async () => {
    await simulate(async (world) => {
      const server = world.host('server');
      await server.run(serve);
      const ticks: number[] = [];
      await server.run(async () => {
        setInterval(() => ticks.push(world.time()), 10_000);
      });
      server.pause();
      const answer = world.host('client').run(ask);
      await sleep(35);
      assert.deepEqual(ticks, []);
      server.resume();
      assert.equal(await answer, '1');
      assert.ok(world.time() >= 35 && world.time() < 36);
      assert.deepEqual(ticks, [35]);
    });
  });

  test('a world that waits for nothing but an HTTP server is dead', async () => {
    await assert.rejects(
      simulate({ seed: 1 }, async (world) => {
        await world.host('server').run(serve);
        await new Promise(() => {});
      }),
      { code: 'ERR_SIMULATION_DEADLOCK' },
    );
  });

  test('an exception in a callback of Node names its host', async () => {
    await assert.rejects(
      simulate({ seed: 1 }, async (world) => {
        await world.host('faulty').run(async () => {
          setTimeout(() => {
            throw new Error('boom');
          }, 1000);
        });
        await sleep(10);
      }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'ERR_SIMULATION_UNHANDLED');
        assert.match(error.message, /faulty.*boom/s);
        return true;
      },
    );
  });

  test('a host starts no processes of this machine, and the error says what to do', async () => {
    await simulate(async (world) => {
      await world.host('host').run(async () => {
        for (const start of [
          () => spawn('true'),
          () => execFile('true'),
          () => fork('program.js'),
          () => spawnSync('true'),
        ]) {
          assert.throws(start, { code: 'ERR_UNSUPPORTED', message: /host\.install/ });
        }
      });
    });
  });
});
