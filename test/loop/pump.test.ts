import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../src/backend/backend.ts';
import { LoopError } from '../../src/base/errors.ts';
import { Pump } from '../../src/loop/pump.ts';
import { Scheduler } from '../../src/loop/scheduler.ts';
import type { Loop } from '../../src/loop/types.ts';

/** A host that does nothing by itself: the test says when a turn comes, and when its microtasks are done. */
class Host {
  readonly calls: string[] = [];
  now: number = 0;
  onTurn: (() => void) | null = null;
  onTurnEnd: (() => void) | null = null;

  time(): number {
    return this.now;
  }

  start(onTurn: () => void, onTurnEnd: () => void): void {
    this.calls.push('start');
    this.onTurn = onTurn;
    this.onTurnEnd = onTurnEnd;
  }

  stop(): void {
    this.calls.push('stop');
    this.onTurn = null;
  }

  wake(): void {
    this.calls.push('wake');
  }

  wakeAt(when: number): void {
    this.calls.push(`wakeAt ${when}`);
  }

  take(): string[] {
    return this.calls.splice(0);
  }
}

function bench(): { host: Host; pump: Pump; scheduler: Scheduler } {
  const host = new Host();
  const pump = new Pump(host as unknown as Backend);
  const loop = { callExceptionHandler: assert.fail } as unknown as Loop & { _context: unknown };
  (loop as { _context: unknown })._context = { _loop: loop, _task: null };
  return { host, pump, scheduler: new Scheduler(loop, pump) };
}

test('the pump asks the host for nothing while the loop does not run', () => {
  const { host, pump, scheduler } = bench();
  scheduler.callSoon(() => {}, []);
  scheduler.callAt(1, () => {}, []);
  assert.deepEqual(host.take(), []);
  assert.equal(pump.running, false);
});

test('the pump starts the host first, and asks for what was scheduled before', async () => {
  const ready = bench();
  ready.scheduler.callSoon(() => {}, []);
  void ready.pump.run(ready.scheduler);
  assert.deepEqual(ready.host.take(), ['start', 'wake']);
  const timed = bench();
  timed.scheduler.callAt(7, () => {}, []);
  void timed.pump.run(timed.scheduler);
  assert.deepEqual(timed.host.take(), ['start', 'wakeAt 7']);
});

test('the pump runs a turn at the time of the host', () => {
  const { host, pump, scheduler } = bench();
  const log: number[] = [];
  scheduler.callAt(3, () => log.push(3), []);
  void pump.run(scheduler);
  host.now = 2.9;
  host.onTurn?.();
  assert.deepEqual(log, []);
  host.now = 3;
  host.onTurn?.();
  assert.deepEqual(log, [3]);
});

test('the pump runs on after a turn without a stop', () => {
  const { host, pump, scheduler } = bench();
  void pump.run(scheduler);
  for (let i = 0; i < 3; i++) {
    host.onTurn?.();
    host.onTurnEnd?.();
  }
  assert.equal(pump.running, true);
  assert.equal(host.calls.includes('stop'), false);
});

test('the pump refuses to run a loop twice at once', () => {
  const { pump, scheduler } = bench();
  void pump.run(scheduler);
  assert.throws(
    () => pump.run(scheduler),
    (error) => error instanceof LoopError && error.code === 'ERR_LOOP_RUNNING',
  );
});

test('the pump still runs while the code resumed by the last turn does, and ends behind it', async () => {
  const { host, pump, scheduler } = bench();
  scheduler.stop();
  let ended = false;
  const end = pump.run(scheduler).then(() => {
    ended = true;
  });
  host.onTurn?.();
  assert.equal(pump.running, true);
  assert.equal(host.calls.includes('stop'), false);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, false);
  host.onTurnEnd?.();
  assert.equal(pump.running, false);
  assert.equal(host.calls.at(-1), 'stop');
  await end;
});

test('what the resumed code schedules after a stop waits for the next run', async () => {
  const { host, pump, scheduler } = bench();
  const log: string[] = [];
  scheduler.stop();
  const end = pump.run(scheduler);
  host.onTurn?.();
  scheduler.callSoon(() => log.push('later'), []);
  host.onTurnEnd?.();
  await end;
  assert.deepEqual(log, []);
  void pump.run(scheduler);
  host.onTurn?.();
  assert.deepEqual(log, ['later']);
});

test('what was written during a turn leaves at its end, also when the turn was the last one', () => {
  const { host, pump, scheduler } = bench();
  const log: string[] = [];
  void pump.run(scheduler);
  const writer = { _flush: () => log.push('flushed') };
  scheduler.callSoon(() => scheduler.flushAtTurnEnd(writer), []);
  scheduler.stop();
  host.onTurn?.();
  assert.deepEqual(log, []);
  host.onTurnEnd?.();
  assert.deepEqual(log, ['flushed']);
  assert.equal(pump.running, false);
});
