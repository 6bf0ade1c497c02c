import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../../src/entry/sim.ts';
import { simulate } from '../../src/entry/sim.ts';
import { getRunningLoop, openConnection, sleep, startServer } from '../../src/index.ts';

/** Sends zeros to each client until the connection ends. */
async function source(): Promise<void> {
  const server = await startServer(
    async (_reader, writer) => {
      for (;;) {
        writer.write(Buffer.alloc(65_536));
        await writer.drain();
      }
    },
    null,
    80,
  );
  await server.serveForever();
}

/** Receives until the connection ends. Returns the number of bytes and the code of the error. */
async function receive(host: Host): Promise<[bytes: number, code: string | null]> {
  const [reader, writer] = await openConnection(host.addresses[0] as string, 80);
  let bytes = 0;
  try {
    for (;;) {
      const data = await reader.read(65_536);
      if (data.length === 0) return [bytes, null];
      bytes += data.length;
    }
  } catch (error) {
    return [bytes, (error as { code?: string }).code ?? null];
  } finally {
    writer.close();
  }
}

test('a host that is killed in mid-transfer ends the stream, and one that crashes leaves it open', async () => {
  for (const [how, ended] of [
    ['kill', true],
    ['crash', false],
  ] as const) {
    await simulate({ seed: 1, onReport: () => {} }, async (world) => {
      const [server, client] = [world.host('server'), world.host('client')];
      world.bandwidth(1_000_000);
      void server.run(source);
      await sleep(0.1);
      let result: [number, string | null] | null = null;
      void client.run(async () => {
        result = await receive(server);
      });
      await sleep(1);
      server[how]();
      await sleep(30);
      assert.equal(result !== null, ended, how);
      if (result !== null) assert.ok((result as [number, string | null])[0] > 500_000);
    });
  }
});

test('a simulation that ends in mid-transfer ends both hosts', async () => {
  const report = await simulate({ seed: 1, onReport: () => {} }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    world.bandwidth(1_000_000);
    void server.run(source);
    await sleep(0.1);
    void client.run(() => receive(server));
    await sleep(1);
  });
  assert.ok(report.packets > 500);
  assert.ok(report.time < 30, String(report.time));
});

test('a host runs a hundred thousand timers, each at its time', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('a');
    await host.run(async () => {
      const loop = getRunningLoop();
      let calls = 0;
      let late = 0;
      for (let i = 0; i < 100_000; i++) {
        loop.callAt(i % 1000, () => {
          calls++;
          if (world.time() !== i % 1000) late++;
        });
      }
      await sleep(1000);
      assert.deepEqual([calls, late], [100_000, 0]);
    });
  });
});

test('fifty hosts exchange messages', async () => {
  const report = await simulate({ seed: 1, onReport: () => {} }, async (world) => {
    const hosts = Array.from({ length: 50 }, (_, i) => world.host(`host ${i}`));
    for (const host of hosts) {
      void host.run(async () => {
        const server = await startServer(
          async (reader, writer) => {
            for await (const line of reader.lines()) writer.write(line);
            writer.close();
          },
          null,
          80,
        );
        await server.serveForever();
      });
    }
    await sleep(1);
    const clients = hosts.map((host, i) =>
      host.run(async () => {
        const peer = hosts[(i + 1) % hosts.length] as Host;
        const [reader, writer] = await openConnection(peer.addresses[0] as string, 80);
        for (let n = 0; n < 20; n++) {
          writer.write(`${n}\n`);
          assert.equal(String(await reader.readline()), `${n}\n`);
        }
        writer.close();
        await writer.waitClosed();
        return 20;
      }),
    );
    return (await Promise.all(clients)).reduce((sum, count) => sum + count, 0);
  });
  assert.equal(report.value, 1000);
});

test('a program that closes its connection and returns leaves nothing open', async () => {
  const { reports } = await simulate({ seed: 1 }, async (world) => {
    const server = world.host('server');
    void server.run(async () => {
      const listener = await startServer((_reader, writer) => writer.close(), null, 80);
      await listener.serveForever();
    });
    await sleep(1);
    await world.host('client').run(async () => {
      const [, writer] = await openConnection('server', 80);
      writer.write('hello');
      writer.close();
    });
  });
  assert.deepEqual(reports, []);
});
