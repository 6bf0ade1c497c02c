import type { Handle } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** The order of callbacks: FIFO, turn by turn; cancelled ones, arguments, exceptions. */
export const scenario: Scenario = async (loop, log) => {
  const fail = (text: string): never => {
    throw new Error(text);
  };
  const nested = (name: string, depth: number): void => {
    log(`${name} ${depth}`);
    if (depth > 0) loop.callSoon(nested, name, depth - 1);
  };

  for (let i = 0; i < 5; i++) loop.callSoon(log, `callback ${i}`);
  loop.callSoon(nested, 'a', 2);
  loop.callSoon(nested, 'b', 3);
  loop.callSoon(fail, 'a callback that fails');
  loop.callSoon(log, 'after the failure');
  loop.callSoonThreadsafe(log, 'threadsafe');
  const never = loop.callSoon(log, 'never');
  loop.callSoon(() => never.cancel());
  let laterInTheTurn: Handle | null = null;
  loop.callSoon(() => laterInTheTurn?.cancel());
  laterInTheTurn = loop.callSoon(log, 'cancelled in its own turn');
  const early = loop.callSoon(log, 'cancelled before the run');
  early.cancel();
  log(`cancelled: ${words(early.cancelled())}`);
  loop.callSoon((...args: number[]) => log(`${args.length} arguments`), 1, 2, 3);
  for (let i = 0; i < 6; i++) loop.callSoon(() => loop.callSoon(log, 'scheduled by a callback'));
  loop.callLater(1, () => loop.stop());
  await loop.runForever();
  log('stopped');
};
