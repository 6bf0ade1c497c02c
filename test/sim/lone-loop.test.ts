import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop, simulate } from '../../src/entry/sim.ts';
import { openConnection, run, sleep, startServer } from '../../src/index.ts';

/** Asks a server on the loopback address of the same loop, and returns its answer and the client's port. */
async function loopback(): Promise<[answer: string, port: number]> {
  const server = await startServer(
    async (reader, writer) => {
      writer.write(await reader.readline());
      writer.close();
    },
    '127.0.0.1',
    80,
  );
  const [reader, writer] = await openConnection('127.0.0.1', 80);
  const [, port] = writer.getExtraInfo('sockname') as [string, number];
  writer.write('hello\n');
  const answer = String(await reader.read());
  writer.close();
  await writer.waitClosed();
  server.close();
  await server.waitClosed();
  return [answer, port];
}

test('a simulated loop without a world is a host with the loopback addresses', async () => {
  const [answer] = await run(loopback, { loopFactory: () => new SimulatedEventLoop() });
  assert.equal(answer, 'hello\n');
});

test('the randomness of a simulated loop follows from its seed', async () => {
  const port = async (seed?: number): Promise<number> => {
    const options = seed === undefined ? {} : { seed };
    const [, found] = await run(loopback, { loopFactory: () => new SimulatedEventLoop(options) });
    return found;
  };
  const ports = [await port(1), await port(1), await port(2), await port(), await port(0)];
  assert.equal(ports[0], ports[1]);
  assert.notEqual(ports[0], ports[2]);
  assert.equal(ports[3], ports[4]);
});

test('a simulated loop that code of a host makes belongs to that host', async () => {
  await simulate({ seed: 1 }, async (world) => {
    await sleep(5);
    const host = world.host('a');
    await host.run(async () => {
      const loop = new SimulatedEventLoop({ trace: true });
      assert.equal(loop.time(), 5);
      await loop.runUntilComplete(() => sleep(1));
      assert.equal(world.time(), 6);
      assert.ok(loop.trace.length > 0);
      loop.close();
      const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
      assert.throws(() => new SimulatedEventLoop({ startTime: 1 }), range);
      assert.throws(() => new SimulatedEventLoop({ seed: 1 }), range);
    });
  });
});

test('two simulated loops without a world do not reach each other', async () => {
  const server = new SimulatedEventLoop();
  const listening = server.runUntilComplete(async () => {
    const listener = await startServer(() => {}, '127.0.0.1', 80);
    await sleep(10);
    listener.close();
  });
  await assert.rejects(
    run(() => openConnection('127.0.0.1', 80), { loopFactory: () => new SimulatedEventLoop() }),
    { code: 'ECONNREFUSED' },
  );
  await listening;
  server.close();
});
