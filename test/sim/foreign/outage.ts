/** A program on a host, its server on another one, and a minute without a network between them. */
import assert from 'node:assert/strict';
import promises from 'node:timers/promises';
import type { SimulationReport } from '../../../src/entry/sim.ts';
import { compareTraces, simulate } from '../../../src/entry/sim.ts';
import { sleep } from '../../../src/index.ts';

/** Seconds: when the network goes, and when it comes back. */
export const GOES = 10;
export const COMES = 70;

/** Waits until a time of the world, in seconds. */
export async function until(seconds: number): Promise<void> {
  const milliseconds = seconds * 1000 - performance.now();
  if (milliseconds > 0) await promises.setTimeout(milliseconds);
}

/** Repeats an operation once a second until it succeeds. */
export async function eventually<T>(operation: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await operation();
    } catch (error) {
      if (tries === 300) throw error;
      await promises.setTimeout(1000);
    }
  }
}

/**
 * Runs a server and a client through the loss of the network, twice. Both runs must be the same, event by
 * event. The server's host is `server` with the address 10.0.0.1.
 *
 * @param client is to end after {@link COMES}
 */
export async function throughOutage(
  server: () => Promise<unknown>,
  client: () => Promise<unknown>,
): Promise<void> {
  const first = await once(server, client);
  assert.ok(first.time > COMES);
  assert.equal(compareTraces(first.trace, (await once(server, client)).trace), null);
}

function once(
  server: () => Promise<unknown>,
  client: () => Promise<unknown>,
): Promise<SimulationReport<void>> {
  return simulate({ seed: 7, trace: true, timeLimit: 3600 }, async (world) => {
    const serving = world.host('server', { addresses: ['10.0.0.1'] });
    const calling = world.host('client', { addresses: ['10.0.0.2'] });
    await serving.run(server);
    const done = calling.run(client);
    done.catch(() => {});
    await sleep(GOES - world.time());
    const cut = world.partition(serving, calling);
    await sleep(COMES - world.time());
    cut[Symbol.dispose]();
    await done;
  });
}
