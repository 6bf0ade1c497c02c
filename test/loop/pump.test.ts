import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend, Turns } from '../../src/backend/backend.ts';
import { LoopError } from '../../src/base/errors.ts';
import { Pump } from '../../src/loop/pump.ts';
import { Scheduler } from '../../src/loop/scheduler.ts';
import type { Loop } from '../../src/loop/types.ts';

/** A host that does nothing by itself: the test calls the loop. */
class Host {
  readonly calls: string[] = [];
  now: number = 0;
  turns: Turns | null = null;
  /** Runs the code that an entry resumed. Null: this host drains only when it has the thread. */
  microtasks: (() => void)[] | null = [];
  resume: (() => void) | null = null;

  time(): number {
    return this.now;
  }

  start(turns: Turns): void {
    this.calls.push('start');
    this.turns = turns;
  }

  stop(): void {
    this.calls.push('stop');
    this.turns = null;
  }

  wake(): void {
    this.calls.push('wake');
  }

  wakeAt(when: number): void {
    this.calls.push(`wakeAt ${when}`);
  }

  drain(resume: () => void): boolean {
    if (this.microtasks === null) {
      this.resume = resume;
      return false;
    }
    for (const microtask of this.microtasks.splice(0)) microtask();
    return true;
  }

  take(): string[] {
    return this.calls.splice(0);
  }
}

interface Bench {
  host: Host;
  pump: Pump;
  scheduler: Scheduler;
  log: string[];
  say: (word: unknown) => void;
}

function bench(): Bench {
  const host = new Host();
  const pump = new Pump(host as unknown as Backend);
  const loop = { callExceptionHandler: assert.fail } as unknown as Loop & { _context: unknown };
  (loop as { _context: unknown })._context = { _loop: loop, _task: null, _flow: null };
  const log: string[] = [];
  const say = (word: unknown): void => {
    log.push(String(word));
  };
  return { host, pump, scheduler: new Scheduler(loop, pump), log, say };
}

test('the pump requests nothing from the host while the loop does not run', () => {
  const { host, pump, scheduler } = bench();
  scheduler.callSoon(() => {}, []);
  scheduler.callAt(1, () => {}, []);
  assert.deepEqual(host.take(), []);
  assert.equal(pump.running, false);
});

test('the pump starts the host first, and then requests the turns that were scheduled before', async () => {
  const ready = bench();
  ready.scheduler.callSoon(() => {}, []);
  void ready.pump.start(ready.scheduler);
  assert.deepEqual(ready.host.take(), ['start', 'wake']);
  const timed = bench();
  timed.scheduler.callAt(7, () => {}, []);
  void timed.pump.start(timed.scheduler);
  assert.deepEqual(timed.host.take(), ['start', 'wakeAt 7']);
});

test('the pump runs a turn with the time that the host tells', () => {
  const { host, pump, scheduler, log, say } = bench();
  scheduler.callAt(3, say, [3]);
  void pump.start(scheduler);
  host.now = 2.9;
  host.turns?.run();
  assert.deepEqual(log, []);
  host.now = 3;
  host.turns?.run();
  assert.deepEqual(log, ['3']);
});

test('the pump runs all code that an entry resumes before the next entry', () => {
  const { host, pump, scheduler, log, say } = bench();
  for (const name of ['a', 'b']) {
    scheduler.callSoon(() => {
      say(name);
      host.microtasks?.push(() => say(`resumed by ${name}`));
    }, []);
  }
  void pump.start(scheduler);
  host.turns?.run();
  assert.deepEqual(log, ['a', 'resumed by a', 'b', 'resumed by b']);
});

test('the pump returns to a host that drains only with the thread after each entry, and continues the turn there', () => {
  const { host, pump, scheduler, log, say } = bench();
  host.microtasks = null;
  scheduler.callSoon(say, ['a']);
  scheduler.callSoon(say, ['b']);
  scheduler.flushAtTurnEnd({ _flush: () => say('flushed') });
  void pump.start(scheduler);
  host.take();
  host.turns?.run();
  assert.deepEqual(log, ['a']);
  // An entry that comes meanwhile finds the turn under way.
  scheduler.callSoon(say, ['next turn']);
  host.turns?.run();
  assert.deepEqual(log, ['a']);
  assert.deepEqual(host.take(), []);
  for (let left = 3; left > 0; left--) host.resume?.();
  assert.deepEqual(log, ['a', 'b', 'flushed', 'next turn']);
  assert.deepEqual(host.take(), ['wakeAt Infinity']);
});

test('the pump runs several turns in one call of the host, up to a limit of turns and of time', () => {
  const { host, pump, scheduler } = bench();
  let turns = 0;
  const again = (): void => {
    turns++;
    scheduler.callSoon(again, []);
  };
  scheduler.callSoon(again, []);
  void pump.start(scheduler);
  host.take();
  host.turns?.run();
  assert.ok(turns > 1 && turns <= 64, `${turns} turns`);
  assert.deepEqual(host.take(), ['wake']);
  const most = turns;
  turns = 0;
  host.microtasks?.push(() => {
    host.now = 1;
  });
  host.turns?.run();
  assert.equal(turns, 1, `a long turn is the last of its call, and not one of ${most}`);
});

test('the pump requests the next call at the end of each: soon if an entry is ready, else at the next deadline', () => {
  const { host, pump, scheduler, say } = bench();
  void pump.start(scheduler);
  assert.deepEqual(host.take(), ['start', 'wakeAt Infinity']);
  const timer = scheduler.callAt(9, say, ['timer']);
  assert.deepEqual(host.take(), ['wakeAt 9']);
  scheduler.callSoon(() => scheduler.callAt(8, say, ['earlier']), []);
  assert.deepEqual(host.take(), ['wake']);
  host.turns?.run();
  assert.deepEqual(host.take(), ['wakeAt 8']);
  host.now = 8;
  host.turns?.run();
  assert.deepEqual(host.take(), ['wakeAt 9']);
  timer.cancel();
  assert.equal(host.turns?.nextWhen(), Number.POSITIVE_INFINITY);
});

test('the pump continues after a turn without a stop', () => {
  const { host, pump, scheduler } = bench();
  void pump.start(scheduler);
  for (let i = 0; i < 3; i++) host.turns?.run();
  assert.equal(pump.running, true);
  assert.equal(host.calls.includes('stop'), false);
});

test('the pump rejects a second run of a loop that runs', () => {
  const { pump, scheduler } = bench();
  void pump.start(scheduler);
  assert.throws(
    () => pump.start(scheduler),
    (error) => error instanceof LoopError && error.code === 'ERR_LOOP_RUNNING',
  );
});

test('the pump counts as running while resumed code of the last entry runs, and ends after it', async () => {
  const { host, pump, scheduler } = bench();
  scheduler.stop();
  const seen: boolean[] = [];
  host.microtasks?.push(() => seen.push(pump.running));
  const end = pump.start(scheduler);
  host.turns?.run();
  assert.deepEqual(seen, [true]);
  assert.equal(pump.running, false);
  assert.equal(host.calls.at(-1), 'stop');
  await end;
});

test('an entry that is scheduled by code resumed after stop() waits for the next run', async () => {
  const { host, pump, scheduler, log, say } = bench();
  scheduler.stop();
  host.microtasks?.push(() => scheduler.callSoon(say, ['later']));
  const end = pump.start(scheduler);
  host.turns?.run();
  await end;
  assert.deepEqual(log, []);
  void pump.start(scheduler);
  host.turns?.run();
  assert.deepEqual(log, ['later']);
});

test('the pump flushes the writes of a turn at its end, also in the last turn', () => {
  const { host, pump, scheduler, log, say } = bench();
  void pump.start(scheduler);
  scheduler.callSoon(() => scheduler.flushAtTurnEnd({ _flush: () => say('flushed') }), []);
  scheduler.callSoon(say, ['second']);
  scheduler.stop();
  host.turns?.run();
  assert.deepEqual(log, ['second', 'flushed']);
  assert.equal(pump.running, false);
});
