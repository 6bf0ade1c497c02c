import { simulate } from '../../../src/entry/sim.ts';

const EPOCH = new Date(Date.UTC(2026, 0, 1));

/** Runs programs, each on a host of its own, until all have returned. */
export async function inHosts(
  hosts: Record<string, [string[], () => Promise<unknown>]>,
  seed: number = 1,
): Promise<void> {
  await simulate({ seed, epoch: EPOCH }, async (world) => {
    const running = Object.entries(hosts).map(([name, [addresses, main]]) =>
      world.host(name, { addresses }).run(main),
    );
    await Promise.all(running);
  });
}

export async function inHost(main: () => Promise<unknown>, seed?: number): Promise<void> {
  await inHosts({ host: [['10.0.0.1'], main] }, seed);
}
