/** Calls in a pool of gyre, each by `runInExecutor()`. */
import type { Executor } from 'gyre';
import { getRunningLoop, run, taskGroup } from 'gyre';
import { measureCalls } from '../pool-calls.ts';

const same = (n: number): number => n;

export function measurePool(pool: Executor & AsyncDisposable): Promise<void> {
  return run(async () => {
    await using _ = pool;
    const loop = getRunningLoop();
    await measureCalls(
      (n) => loop.runInExecutor(pool, same, n),
      (callers) =>
        taskGroup(async (group) => {
          for (const caller of callers) group.createTask(caller);
        }),
    );
  });
}
