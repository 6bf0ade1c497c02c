import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BaseEventLoop } from '../../src/event-loop.ts';
import { CancelledError, currentTask, shield, sleep, taskGroup, timeout } from '../../src/index.ts';
import { simulate } from '../helpers/simulation.ts';
import { native, outcome } from './helpers.ts';

// Random programs of one flow and the things beside it: helpers without an await, losers of races, handlers,
// nested timeouts, and cleanup that awaits futures and native promises. The invariants are the rules of
// docs/cancellation.md.

type Beside =
  | { kind: 'helper'; seconds: number; cleansUp: boolean }
  | { kind: 'handler'; seconds: number }
  | { kind: 'background task'; seconds: number }
  | { kind: 'race'; seconds: number; loser: number };

type Main =
  | { kind: 'ours'; seconds: number }
  | { kind: 'all'; seconds: number; other: number }
  | { kind: 'caught chain'; seconds: number }
  | { kind: 'shield'; seconds: number }
  | { kind: 'signal'; seconds: number }
  | { kind: 'limit'; seconds: number; limit: number }
  | { kind: 'group'; seconds: number };

interface Program {
  beside: Beside[];
  main: Main;
  cleanup: number[];
  cancelAt: number;
}

const seconds = fc.integer({ min: 1, max: 6 });

const beside: fc.Arbitrary<Beside> = fc.oneof(
  fc.record({ kind: fc.constant('helper' as const), seconds, cleansUp: fc.boolean() }),
  fc.record({ kind: fc.constant('handler' as const), seconds }),
  fc.record({ kind: fc.constant('background task' as const), seconds }),
  fc.record({ kind: fc.constant('race' as const), seconds: fc.constant(0), loser: seconds }),
);

const main: fc.Arbitrary<Main> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ours' as const, 'caught chain' as const, 'shield' as const), seconds }),
  fc.record({ kind: fc.constant('all' as const), seconds, other: seconds }),
  fc.record({ kind: fc.constantFrom('signal' as const, 'group' as const), seconds }),
  fc.record({ kind: fc.constant('limit' as const), seconds, limit: seconds }),
);

const program: fc.Arbitrary<Program> = fc.record({
  beside: fc.array(beside, { maxLength: 3 }),
  main,
  cleanup: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 3 }),
  cancelAt: fc.integer({ min: 0, max: 6 }).map((whole) => whole + 0.5),
});

/** Starts something beside the flow, which does not wait for it. */
async function begin(loop: BaseEventLoop, one: Beside): Promise<void> {
  switch (one.kind) {
    case 'helper': {
      const helper = async (): Promise<void> => {
        try {
          await sleep(one.seconds);
        } finally {
          if (one.cleansUp) await sleep(1);
        }
      };
      helper().catch(() => {});
      return;
    }
    case 'handler':
      sleep(one.seconds)
        .then(() => {})
        .catch(() => {});
      return;
    case 'background task':
      loop
        .createTask(() => sleep(one.seconds))
        .catch(() => {})
        .finally(() => {});
      return;
    default:
      // biome-ignore lint/plugin: losers of races are the subject
      await Promise.race([sleep(0), sleep(one.loser)]);
  }
}

async function await_(loop: BaseEventLoop, one: Main): Promise<unknown> {
  switch (one.kind) {
    case 'ours':
      return sleep(one.seconds);
    case 'caught chain':
      return sleep(one.seconds).catch((error) => {
        throw error;
      });
    case 'shield':
      return shield(loop.createTask(() => sleep(one.seconds)));
    case 'all':
      return Promise.all([sleep(one.seconds), sleep(one.other)]);
    case 'signal': {
      const { signal } = currentTask() as { signal: AbortSignal };
      return new Promise<void>((resolve, reject) => {
        const timer = loop.callLater(one.seconds, () => resolve());
        signal.addEventListener('abort', () => {
          timer.cancel();
          reject(signal.reason);
        });
      });
    }
    case 'limit':
      return timeout(one.limit, () => sleep(one.seconds));
    default:
      return taskGroup(async (group) => {
        group.createTask(() => sleep(one.seconds));
      });
  }
}

interface Seen {
  cancels: number;
  cleanedUp: boolean;
  interrupted: boolean;
}

/** The flow of a program: its awaits, and a cleanup that no cancel may interrupt. */
async function flow(loop: BaseEventLoop, { beside, main, cleanup }: Program, seen: Seen): Promise<void> {
  for (const one of beside) await begin(loop, one);
  try {
    await await_(loop, main);
  } catch (error) {
    if (error instanceof CancelledError) seen.cancels++;
    throw error;
  } finally {
    try {
      for (const step of cleanup) await sleep(step);
      seen.cleanedUp = true;
    } catch {
      seen.interrupted = true;
    }
  }
}

test('a cancel of a task is thrown once, is never lost to things beside it, and never interrupts its cleanup', () =>
  fc.assert(
    fc.asyncProperty(program, (made) =>
      simulate(async (loop) => {
        const seen: Seen = { cancels: 0, cleanedUp: false, interrupted: false };
        const neighbour = loop.createTask(() => sleep(30, 'undisturbed'));
        const task = loop.createTask(() => flow(loop, made, seen));
        let cancelled = false;
        let wasAwaiting = true;
        loop.callLater(made.cancelAt, () => {
          wasAwaiting = !seen.cleanedUp && loop.time() < longest(made.main);
          cancelled = task.cancel();
        });
        const how = await outcome(task);
        if (cancelled && wasAwaiting) {
          assert.equal(how, 'CancelledError');
          assert.deepEqual(seen, { cancels: 1, cleanedUp: true, interrupted: false });
        }
        assert.ok(seen.cancels <= 1);
        assert.equal(await neighbour, 'undisturbed');
      }),
    ),
    { numRuns: 1500 },
  ));

/**
 * Returns the time at which the flow gets its result if nothing is cancelled. The things beside it take no
 * time.
 */
function longest(main: Main): number {
  if (main.kind === 'all') return Math.max(main.seconds, main.other);
  return main.kind === 'limit' ? Math.min(main.seconds, main.limit) : main.seconds;
}

test('a timeout ends its own body in time, with any things beside it and around it', () =>
  fc.assert(
    fc.asyncProperty(fc.array(program, { minLength: 2, maxLength: 4 }), (bodies) =>
      simulate(async (loop) => {
        const limits = bodies.map(async (body, index) => {
          const seen: Seen = { cancels: 0, cleanedUp: false, interrupted: false };
          // Every second flow awaits a native promise, and things beside it await futures.
          const isNative = index % 2 === 1;
          const began = loop.time();
          const how = await outcome(
            timeout(body.cancelAt, async () => {
              if (!isNative) return flow(loop, body, seen);
              for (const one of body.beside)
                if (one.kind === 'handler' || one.kind === 'background task') await begin(loop, one);
              await native(loop, longest(body.main));
            }),
          );
          const due = body.cancelAt < longest(body.main);
          if (due) assert.equal(how, 'TimeoutError');
          if (due && isNative) assert.equal(loop.time() - began, body.cancelAt);
          if (due && !isNative) assert.deepEqual(seen, { cancels: 1, cleanedUp: true, interrupted: false });
          if (!due && isNative) assert.equal(how, 'result undefined');
        });
        await Promise.all(limits);
        await sleep(30);
      }),
    ),
    { numRuns: 500 },
  ));

test('cancelling a chain of 100,000 tasks uses no recursion, and ends each of them once', () =>
  simulate(async (loop) => {
    const tasks = [loop.createTask(() => sleep(60))];
    for (let i = 0; i < 100_000; i++) {
      const before = tasks[i] as PromiseLike<unknown>;
      tasks.push(
        loop.createTask(async () => {
          await before;
        }),
      );
    }
    await sleep(1);
    const last = tasks.at(-1) as (typeof tasks)[number];
    assert.equal(last.cancel(), true);
    assert.equal(await outcome(last), 'CancelledError');
    assert.equal(
      tasks.every((task) => task.cancelled()),
      true,
    );
    assert.equal(loop.time(), 1);
  }));

test('cancelling 100,000 shields of one future in any order takes linear time', () =>
  simulate(async (loop) => {
    const count = 100_000;
    // Both parts allocate about the same, so a slow machine and its garbage collector slow both down.
    const ratio = (): number => {
      const inner = loop.createFuture();
      const began = performance.now();
      const shields = Array.from({ length: count }, () => shield(inner));
      const made = performance.now();
      // A fixed shuffle: each index once.
      for (let i = 0; i < count; i++) shields[(i * 7919) % count]?.cancel();
      return (performance.now() - made) / (made - began);
    };
    // A quadratic implementation takes hundreds of times as long.
    const best = Math.min(ratio(), ratio(), ratio());
    assert.ok(best < 20, `cancelling takes ${best} times as long as making`);
  }));
