import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Handle, TimerHandle } from '../../src/loop/handle.ts';
import type { Waker } from '../../src/loop/scheduler.ts';
import { Scheduler } from '../../src/loop/scheduler.ts';
import type { ExceptionContext, Loop } from '../../src/loop/types.ts';

// There is no host and no clock here: time is a number, and the log has the calls of the waker.

class Wakes implements Waker {
  readonly told: string[] = [];

  wake(): void {
    this.told.push('wake');
  }

  wakeAt(when: number): void {
    this.told.push(`wakeAt ${when}`);
  }

  take(): string[] {
    return this.told.splice(0);
  }
}

interface Bench {
  scheduler: Scheduler;
  wakes: Wakes;
  reports: ExceptionContext[];
  log: string[];
  /** Appends its word to the log. */
  say: (word: unknown) => void;
}

function bench(): Bench {
  const wakes = new Wakes();
  const reports: ExceptionContext[] = [];
  const log: string[] = [];
  const loop = {
    callExceptionHandler: (context: ExceptionContext) => reports.push(context),
  } as unknown as Loop & { _context: unknown };
  (loop as { _context: unknown })._context = { _loop: loop, _task: null };
  const say = (word: unknown): void => {
    log.push(String(word));
  };
  return { scheduler: new Scheduler(loop, wakes), wakes, reports, log, say };
}

/** Runs a turn without a host: nothing resumes between the entries. */
function runTurn(scheduler: Scheduler, now: number): void {
  scheduler.awake = true;
  scheduler.beginTurn(now);
  while (scheduler.runNext());
  scheduler.awake = false;
}

test('a turn runs the entries that were ready when it began, and none that its callbacks schedule', () => {
  const { scheduler, log, say } = bench();
  scheduler.callSoon(() => {
    say('first');
    scheduler.callSoon(say, ['third']);
  }, []);
  scheduler.callSoon(say, ['second']);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['first', 'second']);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['first', 'second', 'third']);
});

test('callbacks run in the order in which they were scheduled, each exactly once', () => {
  const { scheduler, log, say } = bench();
  const words = Array.from({ length: 1000 }, (_, i) => String(i));
  for (const word of words) scheduler.callSoon(say, [word]);
  runTurn(scheduler, 0);
  runTurn(scheduler, 0);
  assert.deepEqual(log, words);
});

test('due timers run behind the ready entries, in order of deadline, then of scheduling', () => {
  const { scheduler, log, say } = bench();
  scheduler.callAt(2, say, ['at 2']);
  scheduler.callAt(1, say, ['at 1, first']);
  scheduler.callAt(3, say, ['at 3']);
  scheduler.callAt(1, say, ['at 1, second']);
  scheduler.callSoon(say, ['ready']);
  runTurn(scheduler, 2);
  assert.deepEqual(log, ['ready', 'at 1, first', 'at 1, second', 'at 2']);
});

test('a timer never runs before its deadline', () => {
  const { scheduler, log, say } = bench();
  scheduler.callAt(1, say, ['due']);
  runTurn(scheduler, 1 - Number.EPSILON);
  assert.deepEqual(log, []);
  runTurn(scheduler, 1);
  assert.deepEqual(log, ['due']);
});

test('a timer that a callback schedules for the current time waits for the next turn', () => {
  const { scheduler, log, say } = bench();
  scheduler.callSoon(() => scheduler.callAt(0, say, ['timer']), []);
  runTurn(scheduler, 5);
  assert.deepEqual(log, []);
  runTurn(scheduler, 5);
  assert.deepEqual(log, ['timer']);
});

test('a cancelled callback does not run, also when it is cancelled in the turn in which it is due', () => {
  const { scheduler, log, say } = bench();
  const soon = scheduler.callSoon(say, ['never']);
  let later: Handle | null = null;
  let timer: TimerHandle | null = null;
  scheduler.callSoon(() => {
    later?.cancel();
    timer?.cancel();
  }, []);
  later = scheduler.callSoon(say, ['never']);
  timer = scheduler.callAt(1, say, ['never']);
  soon.cancel();
  runTurn(scheduler, 1);
  runTurn(scheduler, 2);
  assert.deepEqual(log, []);
  assert.equal(soon.cancelled() && later.cancelled() && timer.cancelled(), true);
  assert.equal(scheduler.timers.size, 0);
});

test('cancelling a timer twice, or after it ran, disturbs no other timer', () => {
  const { scheduler, log, say } = bench();
  const first = scheduler.callAt(1, say, ['first']);
  const second = scheduler.callAt(2, say, ['second']);
  scheduler.callAt(3, say, ['third']);
  runTurn(scheduler, 1);
  first.cancel();
  first.cancel();
  second.cancel();
  second.cancel();
  assert.equal(scheduler.timers.size, 1);
  runTurn(scheduler, 3);
  assert.deepEqual(log, ['first', 'third']);
});

test('the scheduler reports a callback that throws, and runs the others of its turn', () => {
  const { scheduler, reports, log, say } = bench();
  const bug = new Error('bug');
  const handle = scheduler.callSoon(() => {
    throw bug;
  }, []);
  scheduler.callSoon(say, ['next']);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['next']);
  assert.deepEqual(reports, [{ message: 'exception in a callback', exception: bug, handle }]);
});

test('the scheduler reports an async callback that rejects as one that throws', async () => {
  const { scheduler, reports } = bench();
  const bug = new Error('bug');
  scheduler.callSoon(async () => {
    throw bug;
  }, []);
  runTurn(scheduler, 0);
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(
    reports.map((report) => report.exception),
    [bug],
  );
});

test('stop() lets every entry run that was scheduled before it, also those of the next turn', () => {
  const { scheduler, log, say } = bench();
  scheduler.callSoon(() => {
    say('first');
    scheduler.callSoon(say, ['scheduled before']);
    scheduler.stop();
    scheduler.callSoon(say, ['scheduled after']);
  }, []);
  scheduler.callSoon(say, ['second']);
  runTurn(scheduler, 0);
  assert.equal(scheduler.stopped, false);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['first', 'second', 'scheduled before']);
  assert.equal(scheduler.stopped, true);
  scheduler.stopped = false;
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['first', 'second', 'scheduled before', 'scheduled after']);
  assert.equal(scheduler.stopped, false);
});

test('stop() lets a timer run that moves into the ready queue before its mark, and no other', () => {
  const { scheduler, log, say } = bench();
  scheduler.callAt(1, say, ['due']);
  scheduler.callSoon(() => scheduler.stop(), []);
  runTurn(scheduler, 1);
  assert.deepEqual(log, ['due']);
  scheduler.callAt(1, say, ['due behind the mark']);
  runTurn(scheduler, 1);
  assert.deepEqual(log, ['due']);
  assert.equal(scheduler.stopped, true);
});

test('stop() counts once when it is called several times before it takes effect', () => {
  const { scheduler, log, say } = bench();
  scheduler.stop();
  scheduler.callSoon(say, ['a']);
  scheduler.stop();
  runTurn(scheduler, 0);
  assert.equal(scheduler.stopped, true);
  scheduler.stopped = false;
  scheduler.callSoon(say, ['b']);
  runTurn(scheduler, 0);
  assert.equal(scheduler.stopped, false);
  assert.deepEqual(log, ['a', 'b']);
  scheduler.stop();
  runTurn(scheduler, 0);
  assert.equal(scheduler.stopped, true);
});

test('a timer that a due timer schedules for an earlier time waits until all timers of the turn have run', () => {
  const { scheduler, log, say } = bench();
  let late: TimerHandle | null = null;
  scheduler.callAt(2, () => {
    say('at 2');
    scheduler.callAt(1, say, ['late']);
    late = scheduler.callAt(1, say, ['never']);
    scheduler.callAt(9, say, ['never']).cancel();
  }, []);
  scheduler.callAt(3, () => late?.cancel(), []);
  scheduler.callAt(4, say, ['at 4']);
  runTurn(scheduler, 4);
  assert.deepEqual(log, ['at 2', 'at 4']);
  assert.equal(scheduler.timers.size, 1);
  assert.equal(scheduler.timers.nextWhen(), 1);
  runTurn(scheduler, 4);
  assert.deepEqual(log, ['at 2', 'at 4', 'late']);
  assert.equal(scheduler.timers.size, 0);
});

test('the scheduler calls the waker once when the empty ready queue gets its first entry', () => {
  const { scheduler, wakes, say } = bench();
  scheduler.callSoon(say, [1]);
  scheduler.callSoon(say, [2]);
  assert.deepEqual(wakes.take(), ['wake']);
  assert.equal(scheduler.wanted, true);
});

test('the scheduler calls the waker for a timer only when it is the earliest', () => {
  const { scheduler, wakes, say } = bench();
  scheduler.callAt(5, say, [1]);
  scheduler.callAt(6, say, [2]);
  scheduler.callAt(4, say, [4]);
  assert.deepEqual(wakes.take(), ['wakeAt 5', 'wakeAt 4']);
  assert.equal(scheduler.wanted, false);
});

test('the scheduler calls the waker for the first write that waits for the end of a turn', () => {
  const { scheduler, wakes } = bench();
  scheduler.flushAtTurnEnd({ _flush: () => {} });
  scheduler.flushAtTurnEnd({ _flush: () => {} });
  assert.deepEqual(wakes.take(), ['wake']);
  assert.equal(scheduler.wanted, true);
  scheduler.flush();
  assert.equal(scheduler.wanted, false);
});

test('the scheduler does not call the waker during a turn', () => {
  const { scheduler, wakes, say } = bench();
  scheduler.callSoon(() => {
    scheduler.callSoon(say, ['next']);
    scheduler.callAt(1, say, ['timer']);
    scheduler.flushAtTurnEnd({ _flush: () => {} });
  }, []);
  wakes.take();
  runTurn(scheduler, 0);
  assert.deepEqual(wakes.take(), []);
  assert.equal(scheduler.wanted, true);
});

test('the scheduler reports a flush that throws, and flushes the others of the turn', () => {
  const { scheduler, reports, log, say } = bench();
  const bug = new Error('bug');
  const failing = {
    _flush: () => {
      throw bug;
    },
  };
  scheduler.flushAtTurnEnd({ _flush: () => say('first') });
  scheduler.flushAtTurnEnd(failing);
  scheduler.flushAtTurnEnd({ _flush: () => say('third') });
  scheduler.flush();
  assert.deepEqual(log, ['first', 'third']);
  assert.deepEqual(reports, [
    { message: 'exception while the writes of a turn were sent', exception: bug, transport: failing },
  ]);
});

test('the scheduler reports an entry that throws, and runs the others of its turn', () => {
  const { scheduler, reports, log, say } = bench();
  const bug = new Error('bug');
  scheduler.push({
    _run: () => {
      throw bug;
    },
  });
  scheduler.callSoon(say, ['next']);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['next']);
  assert.deepEqual(reports, [{ message: 'exception in an entry of the ready queue', exception: bug }]);
});

test('behindDrain() calls back before the next entry, and after the last one', () => {
  const { scheduler, log, say } = bench();
  scheduler.callSoon(() => {
    say('first');
    scheduler.behindDrain(() => say('behind the first'));
  }, []);
  scheduler.callSoon(() => {
    say('second');
    scheduler.behindDrain(() => say('behind the second'));
  }, []);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['first', 'behind the first', 'second', 'behind the second']);
});

test('clear() drops callbacks and timers, and ends the waiters', () => {
  const { scheduler, log, say } = bench();
  scheduler.callSoon(say, ['never']);
  const timer = scheduler.callAt(1, say, ['never']);
  scheduler.push({ _run: () => say('never'), _abandonWaiter: () => say('abandoned') });
  scheduler.stop();
  scheduler.clear();
  timer.cancel();
  assert.equal(scheduler.ready.length, 0);
  assert.equal(scheduler.timers.size, 0);
  runTurn(scheduler, 5);
  assert.deepEqual(log, ['abandoned']);
  assert.equal(scheduler.stopped, false);
});

test('the observer is called with each entry right before it runs', () => {
  const { scheduler, log, say } = bench();
  scheduler.observer = (entry) => say(`sees ${(entry as Handle)._args[0]}`);
  scheduler.callSoon(say, ['a']);
  scheduler.callAt(0, say, ['b']);
  runTurn(scheduler, 0);
  assert.deepEqual(log, ['sees a', 'a', 'sees b', 'b']);
});

// The model: arrays, sorted and sliced, and the rules for stop() of asyncio's event loop reference.

interface Engine {
  callSoon(id: number): void;
  callAt(when: number, id: number): void;
  cancel(id: number): void;
  stop(): void;
  /** Runs a turn. Returns true if it met the mark of stop(). */
  turn(now: number): boolean;
}

type Step =
  | { kind: 'soon' }
  | { kind: 'at'; when: number }
  | { kind: 'cancel'; n: number }
  | { kind: 'stop' };

/** Plays a script on an engine, and returns the log. Each callback that runs takes its own next steps. */
function play(make: (run: (id: number) => void) => Engine, begin: Step[], script: Step[][]): string[] {
  const log: string[] = [];
  let nextId = 0;
  let nextSteps = 0;
  const perform = (steps: Step[]): void => {
    for (const step of steps) {
      if (step.kind === 'soon') engine.callSoon(nextId++);
      else if (step.kind === 'at') engine.callAt(step.when, nextId++);
      else if (step.kind === 'stop') engine.stop();
      else if (nextId > 0) engine.cancel(step.n % nextId);
    }
  };
  const engine = make((id) => {
    log.push(`callback ${id}`);
    perform(script[nextSteps++] ?? []);
  });
  perform(begin);
  for (let now = 0; now < 12; now++) {
    log.push(engine.turn(now) ? `turn at ${now} met the mark` : `turn at ${now}`);
  }
  return log;
}

function realEngine(run: (id: number) => void): Engine {
  const { scheduler } = bench();
  const handles: Handle[] = [];
  return {
    callSoon: (id) => {
      handles[id] = scheduler.callSoon(run as never, [id]);
    },
    callAt: (when, id) => {
      handles[id] = scheduler.callAt(when, run as never, [id]);
    },
    cancel: (id) => handles[id]?.cancel(),
    stop: () => scheduler.stop(),
    turn: (now) => {
      scheduler.stopped = false;
      runTurn(scheduler, now);
      return scheduler.stopped;
    },
  };
}

function modelEngine(run: (id: number) => void): Engine {
  let ready: (number | 'stop')[] = [];
  let timers: { when: number; id: number }[] = [];
  const cancelled = new Set<number>();
  return {
    callSoon: (id) => ready.push(id),
    callAt: (when, id) => timers.push({ when, id }),
    cancel: (id) => cancelled.add(id),
    stop: () => {
      if (!ready.includes('stop')) ready.push('stop');
    },
    turn: (now) => {
      // Array.sort is stable: equal deadlines stay in order of scheduling.
      const due = timers.filter(({ when }) => when <= now).sort((a, b) => a.when - b.when);
      timers = timers.filter(({ when }) => when > now);
      const batch = [...ready, ...due.map(({ id }) => id)];
      ready = [];
      for (const [at, entry] of batch.entries()) {
        if (entry === 'stop') {
          ready = [...batch.slice(at + 1), ...ready];
          return true;
        }
        // A running callback is out of the queue, so stop() in it comes behind the rest of the batch.
        const later = batch.slice(at + 1);
        ready = [...later, ...ready];
        if (!cancelled.has(entry)) run(entry);
        ready = ready.slice(later.length);
      }
      return false;
    },
  };
}

test('the scheduler behaves like a model of sorted arrays for any callbacks that schedule, cancel and stop', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'soon' }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('at' as const), when: fc.integer({ min: -1, max: 11 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), n: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'stop' }) },
  );
  const steps = fc.array(step, { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.array(steps, { maxLength: 60 }), (begin, script) => {
      assert.deepEqual(play(realEngine, begin, script), play(modelEngine, begin, script));
    }),
    { numRuns: 500 },
  );
});
