import type { Future } from '../../../src/index.ts';
import { CancelledError, InvalidStateError } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { cancelledError, words } from '../scenario.ts';

/** Futures: the order of done callbacks, and the results of each state. */
export const scenario: Scenario = async (loop, log) => {
  const attempt = (name: string, call: () => unknown): void => {
    try {
      log(`${name}: ${words(call())}`);
    } catch (error) {
      if (error instanceof CancelledError) log(`${name}: ${cancelledError(error)}`);
      else if (error instanceof InvalidStateError) log(`${name}: InvalidStateError`);
      else log(`${name}: raised ${(error as Error).message}`);
    }
  };
  const states = (title: string, future: Future): void => {
    log(`--- ${title}`);
    attempt('done', () => future.done());
    attempt('cancelled', () => future.cancelled());
    attempt('result', () => future.result());
    attempt('exception', () => future.exception());
    attempt('cancel', () => future.cancel());
  };

  const pending = loop.createFuture();
  attempt('result', () => pending.result());
  attempt('exception', () => pending.exception());
  states('cancelled by the line above, in the end', pending);
  states('and asked again', pending);

  const withResult = loop.createFuture<number>();
  withResult.setResult(5);
  states('with a result', withResult);
  attempt('set_result', () => withResult.setResult(6));
  attempt('set_exception', () => withResult.setException(new Error('no')));

  const withException = loop.createFuture();
  withException.setException(new Error('bug'));
  states('with an exception', withException);

  const cancelled = loop.createFuture();
  cancelled.cancel('enough');
  states('cancelled with a message', cancelled);
  attempt('set_result', () => cancelled.setResult(1));

  log('--- done callbacks');
  const future = loop.createFuture<string>();
  const callback =
    (name: string) =>
    (given: Future<string>): void => {
      log(`${name}: ${words(given === future)} ${given.result()}`);
    };
  const removed = callback('removed');
  for (const name of ['first', 'second']) future.addDoneCallback(callback(name));
  future.addDoneCallback(removed);
  future.addDoneCallback(removed);
  log(`removed: ${future.removeDoneCallback(removed)}`);
  log(`removed: ${future.removeDoneCallback(removed)}`);
  future.addDoneCallback(() => {
    log('adds another');
    future.addDoneCallback(callback('added by a callback'));
  });
  future.addDoneCallback(() => {
    throw new Error('a done callback that fails');
  });
  future.addDoneCallback(callback('last'));

  loop.callSoon(() => {
    loop.callSoon(log, 'scheduled before the result is set');
    future.setResult('result');
    loop.callSoon(log, 'scheduled after');
    log('set');
  });
  loop.callLater(1, () => future.addDoneCallback(callback('added when done')));
  loop.callLater(2, () => loop.stop());
  await loop.runForever();
};
