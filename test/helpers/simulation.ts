/** Tests in virtual time. */
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { getRunningLoop, run, sleep } from '../../src/index.ts';
import type { Reports } from './loop-fixture.ts';
import { withLoop } from './loop-fixture.ts';

/** The body of a test: a task of its loop. */
type Body = (loop: SimulatedEventLoop, reports: Reports) => Promise<unknown>;

/** Runs `body` as a task on a simulated loop, and checks that nothing is left afterwards. */
export function simulate(body: Body): Promise<void> {
  return withLoop(
    () => new SimulatedEventLoop(),
    (loop, reports) => loop.runUntilComplete(() => body(loop, reports)),
  );
}

/** Returns a function for `test()` that does {@link simulate}. */
export function inSimulation(body: Body): () => Promise<void> {
  return () => simulate(body);
}

/** Returns a function for `test()` that gives `main` to `run()`, on virtual time. */
export function simulated(main: (loop: SimulatedEventLoop) => Promise<void>): () => Promise<void> {
  return () =>
    run(() => main(getRunningLoop() as SimulatedEventLoop), { loopFactory: () => new SimulatedEventLoop() });
}

/** Waits for `count` turns of the running loop, in a task. */
export async function turns(count: number = 1): Promise<void> {
  for (let i = 0; i < count; i++) await sleep(0);
}
