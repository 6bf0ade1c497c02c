import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/**
 * The order of timers among each other and among what is ready; cancelled ones; deadlines that have passed.
 */
export const scenario: Scenario = async (loop, log) => {
  for (const delay of [3, 1, 2, 0.5, 1.5]) loop.callLater(delay, log, `after ${delay}`);
  loop.callAt(2.25, log, 'at 2.25');

  const never = loop.callLater(1.25, log, 'never');
  loop.callLater(1, () => never.cancel());

  const reschedule = (left: number): void => {
    log(`tick, ${left} left`);
    if (left > 0) loop.callLater(0.8, reschedule, left - 1);
  };
  loop.callLater(0.25, reschedule, 3);

  // Long ago, and now: behind what is ready when the turn begins.
  loop.callAt(-5, log, 'long ago');
  loop.callLater(-1, log, 'negative');
  loop.callLater(0, log, 'zero');
  loop.callSoon(log, 'ready');
  loop.callSoon(() => loop.callSoon(log, 'scheduled by a callback'));

  // A timer that becomes due in the same turn in which another callback is ready.
  loop.callLater(4, () => {
    log('at 4');
    loop.callSoon(log, 'soon, from a timer');
    loop.callLater(0, log, 'zero, from a timer');
  });
  const handle = loop.callLater(60, log, 'never');
  log(`when: ${handle.when()}`);
  handle.cancel();
  log(`when: ${handle.when()}, cancelled: ${words(handle.cancelled())}`);
  loop.callLater(5, () => loop.stop());
  await loop.runForever();
  log('stopped');
};
