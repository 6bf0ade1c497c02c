import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramSignals, SIGNALS, signalName } from '../../../src/backend/sim/machine/signals.ts';
import { onKernel } from './kernels.ts';

const { SIGTERM = 0, SIGKILL = 0, SIGCHLD = 0, SIGSTOP = 0, SIGUSR1 = 0 } = SIGNALS;

test('a signal calls every handler, then the interrupts, until they are cancelled', () =>
  onKernel(({ host }) => {
    const signals = new ProgramSignals(host);
    const log: string[] = [];
    const first = signals.handle(SIGTERM, () => log.push('first'));
    signals.interrupt(SIGTERM, () => log.push('interrupt'));
    signals.handle(SIGTERM, () => log.push('second'));
    signals.deliver(SIGTERM);
    first.cancel();
    signals.deliver(SIGTERM);
    assert.deepEqual(log, ['first', 'second', 'interrupt', 'second', 'interrupt']);
    assert.deepEqual([signals.handles(SIGTERM), signals.handles(SIGUSR1)], [true, false]);
  }));

test('a signal without a handler has its default action', () =>
  onKernel(({ host }) => {
    const signals = new ProgramSignals(host);
    const log: unknown[] = [];
    signals.onDefault = (signum, action) => log.push([signalName(signum), action]);
    for (const signum of [SIGTERM, SIGKILL, SIGCHLD, SIGSTOP, 40]) signals.deliver(signum);
    assert.deepEqual(log, [
      ['SIGTERM', 'end'],
      ['SIGKILL', 'end'],
      ['SIGSTOP', 'stop'],
      ['40', 'end'],
    ]);
  }));

test('a signal that no program can catch is refused', () =>
  onKernel(({ host }) => {
    const signals = new ProgramSignals(host);
    for (const signum of [SIGKILL, SIGSTOP]) {
      assert.throws(() => signals.handle(signum, () => {}), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
  }));

test('a paused host handles a signal when it resumes', () =>
  onKernel(async ({ host }, idle) => {
    const signals = new ProgramSignals(host);
    let calls = 0;
    signals.handle(SIGTERM, () => calls++);
    host.pause();
    signals.deliver(SIGTERM);
    await idle();
    assert.equal(calls, 0);
    host.resume();
    await idle();
    assert.equal(calls, 1);
  }));
