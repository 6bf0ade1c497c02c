import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { sleep } from '../../src/index.ts';
import { PATIENCE_SECONDS } from '../helpers/patience.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** Signals that do no harm if a handler is missing by mistake, and that no other test uses here. */
const SIGNAL = 'SIGWINCH';

export function signalsSuite(target: Target): void {
  section(
    'UNIX signals',
    target,
    (test) => {
      test('add_signal_handler() calls the callback with its arguments at each signal, by name or number', async ({
        loop,
        machine,
      }) => {
        const log: unknown[] = [];
        for (const signum of [SIGNAL, constants.signals[SIGNAL]]) {
          loop.addSignalHandler(
            signum,
            (...args: unknown[]) => {
              log.push(args);
              loop.stop();
            },
            'got',
            signum,
          );
          for (let i = 0; i < 2; i++) {
            machine.signals.send(SIGNAL);
            await loop.runForever();
          }
        }
        assert.deepEqual(log, [
          ['got', SIGNAL],
          ['got', SIGNAL],
          ['got', constants.signals[SIGNAL]],
          ['got', constants.signals[SIGNAL]],
        ]);
        loop.removeSignalHandler(SIGNAL);
      });

      test('add_signal_handler() replaces the previous callback', async ({ loop, machine }) => {
        const log: string[] = [];
        loop.addSignalHandler(SIGNAL, () => log.push('first'));
        loop.addSignalHandler(SIGNAL, () => {
          log.push('second');
          loop.stop();
        });
        machine.signals.send(SIGNAL);
        await loop.runForever();
        assert.deepEqual(log, ['second']);
        loop.removeSignalHandler(SIGNAL);
      });

      test('add_signal_handler() rejects a number that is no signal, and a signal that cannot be caught', ({
        loop,
      }) => {
        for (const signum of [
          0,
          65,
          Number.NaN,
          'SIGNONE',
          'SIGKILL',
          'SIGSTOP',
          constants.signals.SIGKILL,
        ]) {
          assert.throws(() => loop.addSignalHandler(signum, () => {}), {
            name: 'RangeError',
            code: 'ERR_OUT_OF_RANGE',
          });
        }
      });

      test('add_signal_handler() keeps a signal while the loop is stopped, in order with call_soon()', async ({
        loop,
        machine,
      }) => {
        const log: string[] = [];
        loop.addSignalHandler(SIGNAL, () => log.push('signal'));
        loop.callSoon(() => log.push('before'));
        await machine.signals.sent(SIGNAL);
        loop.callSoon(() => log.push('after'));
        assert.deepEqual(log, []);
        await loop.runUntilComplete(() => sleep(0));
        assert.deepEqual(log, ['before', 'signal', 'after']);
        loop.removeSignalHandler(SIGNAL);
      });

      test('add_signal_handler() reports a callback that throws, and the loop continues', async ({
        loop,
        reports,
        machine,
      }) => {
        const bug = new Error('bug');
        loop.addSignalHandler(SIGNAL, () => {
          loop.callSoon(() => loop.stop());
          throw bug;
        });
        machine.signals.send(SIGNAL);
        await loop.runForever();
        assert.deepEqual(
          reports.take().map(({ message, exception }) => [message, exception]),
          [['exception in a callback', bug]],
        );
        loop.removeSignalHandler(SIGNAL);
      });

      test('add_signal_handler() of several loops gives each the signal', async ({
        loop,
        makeLoop,
        machine,
      }) => {
        const other = makeLoop();
        const told: boolean[] = [];
        const limits = [loop, other].map((each) => {
          each.addSignalHandler(SIGNAL, () => {
            told.push(each === loop);
            each.stop();
          });
          return each.callLater(PATIENCE_SECONDS, () => each.stop());
        });
        const running = Promise.all([loop.runForever(), other.runForever()]);
        machine.signals.send(SIGNAL);
        await running;
        for (const limit of limits) limit.cancel();
        assert.deepEqual(told.sort(), [false, true]);
        other.close();
        loop.removeSignalHandler(SIGNAL);
      });

      test('remove_signal_handler() returns whether there was a handler, and the callback is not called again', async ({
        loop,
        machine,
      }) => {
        const before = machine.signals.handlers(SIGNAL);
        assert.equal(loop.removeSignalHandler(SIGNAL), false);
        loop.addSignalHandler(SIGNAL, () => assert.fail());
        assert.equal(machine.signals.handlers(SIGNAL), before + 1);
        assert.equal(loop.removeSignalHandler(constants.signals[SIGNAL]), true);
        assert.equal(loop.removeSignalHandler(SIGNAL), false);
        assert.equal(machine.signals.handlers(SIGNAL), before);
        await machine.signals.sent(SIGNAL);
        await loop.runUntilComplete(() => sleep(0));
      });

      test('close() removes the signal handlers, and reports nothing about them', ({ loop, machine }) => {
        const before = machine.signals.handlers(SIGNAL);
        loop.addSignalHandler(SIGNAL, () => assert.fail());
        loop.close();
        assert.equal(machine.signals.handlers(SIGNAL), before);
      });
    },
    'signals',
  );
}
