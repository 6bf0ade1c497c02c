import { Fabric } from '../../../src/backend/sim/fabric.ts';
import { SimHost } from '../../../src/backend/sim/host.ts';
import { Kernel } from '../../../src/backend/sim/kernel.ts';
import { Random } from '../../../src/backend/sim/random.ts';
import { Timeline } from '../../../src/backend/sim/timeline.ts';
import { enterWorld } from '../../../src/sim/foreign/index.ts';
import type { Place } from '../../../src/sim/place.ts';
import { runIn } from '../../../src/sim/place.ts';

const EPOCH = Date.UTC(2026, 0, 1);

/** Runs programs, each on a host of its own, until all have returned. */
export async function inHosts(
  hosts: Record<string, [string[], () => Promise<unknown>]>,
  seed: number = 1,
): Promise<void> {
  const timeline = new Timeline(0);
  const random = new Random(seed);
  const fabric = new Fabric(timeline);
  let fails: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fails = reject;
  });
  const leave = enterWorld({ timeline, fail: fails, tell() {} });
  timeline.onIdle = () => fails(new Error('deadlock'));
  timeline.enter();
  const ends: ((crashed: boolean) => void)[] = [];
  const running = Object.entries(hosts).map(([name, [addresses, main]]) => {
    const host = new SimHost(name, addresses, timeline, random.fork(name));
    const kernel = new Kernel(host, fabric);
    const place = {
      kernel,
      hostName: name,
      alive: true,
      wallTime: () => EPOCH + host.time() * 1000,
      run: <R>(fn: () => R): R => runIn(place, fn),
      soon: (callback: () => void) => host.soon(() => runIn(place, callback)),
      at: (when: number, callback: () => void) => {
        const event = host.at(when, () => runIn(place, callback));
        return () => event.cancel();
      },
      keepAlive: () => () => {},
      onEnd: (callback: (crashed: boolean) => void) => {
        ends.push(callback);
        return () => ends.splice(ends.indexOf(callback), 1);
      },
      exit: () => {
        throw new Error('exit');
      },
      fail: fails,
    } as unknown as Place;
    return new Promise((resolve, reject) => {
      place.soon(() => void main().then(resolve, reject));
    });
  });
  try {
    await Promise.race([Promise.all(running), failed]);
  } finally {
    for (const end of ends) end(false);
    timeline.leave();
    leave();
  }
}

export async function inHost(main: () => Promise<unknown>, seed?: number): Promise<void> {
  await inHosts({ host: [['10.0.0.1'], main] }, seed);
}
