/** Runs a function while something is held: for code that cannot say `using`. */
import { checkFunction } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import { Body } from '../tasks/body.ts';
import type { Future } from '../tasks/future.ts';

/**
 * @param acquire waits for what is held, and returns its guard
 * @param name of the method, for reports
 */
export function holding<T>(
  name: string,
  acquire: () => PromiseLike<Disposable>,
  fn: () => T | PromiseLike<T>,
): Future<T> {
  checkFunction('fn', fn);
  const body = new Body<T>(
    runningLoop(),
    async () => {
      const guard = await acquire();
      try {
        return await fn();
      } finally {
        guard[Symbol.dispose]();
      }
    },
    name,
  );
  body._run();
  return body;
}
