import type { Difference, Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** The callbacks that still run after stop(), and those that wait for the next run. */
export const scenario: Scenario = async (loop, log) => {
  const run = async (title: string): Promise<void> => {
    log(`--- ${title}`);
    await loop.runForever();
    log(`stopped, running: ${words(loop.isRunning())}`);
  };

  loop.callSoon(log, 'scheduled before');
  loop.stop();
  await run('stop() before the run');

  loop.callSoon(() => {
    log('stops');
    loop.stop();
    loop.callSoon(log, 'scheduled after, by the same callback');
  });
  loop.callSoon(log, 'in the queue behind');
  await run('stop() in a callback');
  loop.stop();
  await run('the next run');

  loop.callSoon(() => {
    loop.callSoon(log, 'scheduled before, for the next turn');
    loop.stop();
    loop.callSoon(log, 'scheduled after');
  });
  await run('stop() while a callback waits for the next turn');
  loop.stop();
  await run('the next run');

  loop.callSoon(() => {
    loop.stop();
    loop.stop();
  });
  loop.callLater(1, log, 'a timer');
  await run('stop() twice');
  loop.callLater(2, () => loop.stop());
  await run('the next run, with a timer of the one before');

  const future = loop.createFuture<string>();
  loop.callSoon(() => loop.stop());
  await loop.runUntilComplete(future).catch(() => log('stopped before the future was done'));
  loop.callSoon(() => future.setResult('result'));
  log(`the future gives: ${await loop.runUntilComplete(future)}`);
};

export const differences: readonly Difference[] = [
  {
    reason:
      'The founding document: every callback scheduled before stop() is called will run. CPython since 3.5.1 ends after ' +
      'the batch under way, so a callback that waits for the next turn has to wait for the next run.',
    recorded: [
      '0.000 --- stop() while a callback waits for the next turn',
      '0.000 stopped, running: False',
      '0.000 --- the next run',
      '0.000 scheduled before, for the next turn',
      '0.000 scheduled after',
    ],
    gyre: [
      '0.000 --- stop() while a callback waits for the next turn',
      '0.000 scheduled before, for the next turn',
      '0.000 stopped, running: False',
      '0.000 --- the next run',
      '0.000 scheduled after',
    ],
  },
];
