/**
 * A random program: plain data that both interpreters run, interpreter.ts on gyre and run_on_asyncio.py on
 * CPython's asyncio.
 *
 * Each statement leaves a line in the log; a statement with blocks leaves it when it ends. Time is in whole
 * seconds, so that sums of it are exact in both languages.
 */

/**
 * `distinct`: no two deadlines coincide. `coinciding`: all are small numbers, so that much falls into one
 * turn.
 */
export type Family = 'distinct' | 'coinciding';

export const FAMILIES: readonly Family[] = ['distinct', 'coinciding'];

export interface Program {
  seed: number;
  family: Family;
  /** The permits of each semaphore. */
  semaphores: number[];
  /** The size of each queue; 0 is no limit. */
  queues: number[];
  /** The body of the first task, `T0`. */
  main: Step[];
}

/** A program has so many of each. */
export const LOCKS = 2;
export const EVENTS = 2;
export const CONDITIONS = 2;
export const FUTURES = 3;
export const COUNTERS = 2;
export const SEMAPHORES = 2;
export const QUEUES = 2;

/** A task (`T3`) or a future (`F0`) that others may wait for. */
export type Reference = string;

/** One thing that can be awaited, and limited by `waitFor`. */
export type Awaited =
  | { kind: 'reference'; reference: Reference }
  | { kind: 'event'; index: number }
  | { kind: 'get'; index: number }
  | { kind: 'put'; index: number; value: number }
  | { kind: 'join'; index: number };

/** A thing that `hold` acquires and gives back. */
export interface Holdable {
  kind: 'lock' | 'semaphore' | 'condition';
  index: number;
}

/** An error that `try` may catch. A program raises `Failure` itself, a task group raises `Group`. */
export type Caught = 'Cancelled' | 'Timeout' | 'Failure' | 'Group' | 'Any';

/** Statements that do not await: allowed in callbacks, too. */
export type Call =
  | { op: 'cancel'; id: number; task: Reference }
  | { op: 'setEvent' | 'clearEvent'; id: number; index: number }
  | { op: 'setResult'; id: number; future: Reference; value: number }
  | { op: 'setException'; id: number; future: Reference; error: string }
  | { op: 'putNowait'; id: number; index: number; value: number }
  | { op: 'getNowait' | 'taskDone'; id: number; index: number }
  | { op: 'shutdown'; id: number; index: number; immediate: boolean }
  | { op: 'releaseLock' | 'releaseSemaphore'; id: number; index: number }
  | { op: 'notify'; id: number; index: number; count: number }
  | { op: 'notifyAll'; id: number; index: number }
  | { op: 'add'; id: number; index: number }
  | { op: 'spawn'; id: number; task: Reference; body: Step[] }
  | { op: 'callSoon'; id: number; calls: Call[] }
  | { op: 'callLater'; id: number; seconds: number; calls: Call[] }
  | { op: 'cancelCall'; id: number; call: number }
  | { op: 'onDone'; id: number; reference: Reference; calls: Call[] }
  | { op: 'raise'; id: number; error: string };

/** Statements of a task. */
export type Step =
  | Call
  | { op: 'sleep'; id: number; seconds: number }
  | { op: 'await'; id: number; what: Awaited }
  | { op: 'waitFor'; id: number; what: Awaited; seconds: number | null }
  | { op: 'shield'; id: number; reference: Reference }
  | { op: 'gather'; id: number; references: Reference[]; returnExceptions: boolean }
  | { op: 'wait'; id: number; references: Reference[]; seconds: number | null; until: Until }
  /** Those that are done at the beginning are left out: asyncio has no order for them. */
  | { op: 'asCompleted'; id: number; references: Reference[]; seconds: number | null }
  | { op: 'conditionWait'; id: number; index: number }
  | { op: 'conditionWaitFor'; id: number; index: number; counter: number; atLeast: number }
  | { op: 'reschedule'; id: number; seconds: number | null }
  | { op: 'groupSpawn'; id: number; task: Reference; body: Step[] }
  | { op: 'cancelSelf' | 'uncancel'; id: number }
  | { op: 'return'; id: number; value: number }
  /** `limit`: the seconds after which it gives up waiting; then the body does not run. */
  | { op: 'hold'; id: number; what: Holdable; limit: number | null; body: Step[] }
  | { op: 'timeout'; id: number; seconds: number | null; body: Step[] }
  | { op: 'group'; id: number; body: Step[] }
  | { op: 'call'; id: number; body: Step[] }
  | { op: 'repeat'; id: number; times: number; body: Step[] }
  | {
      op: 'try';
      id: number;
      body: Step[];
      catches: Caught[];
      handler: Step[];
      rethrow: boolean;
      last: Step[];
    };

export type Until = 'ALL_COMPLETED' | 'FIRST_COMPLETED' | 'FIRST_EXCEPTION';

/** How a program went: on gyre or on asyncio, told by the interpreter. */
export interface Run {
  seed: number;
  /**
   * `<seconds> <task> <statement> <result>`, in the order in which things happened. `end+3` is after the end
   * of time.
   */
  log: string[];
  /** The end of each task, and its time: `result 3 at 12`, `Cancelled at 40`, `pending`. */
  outcome: Record<string, string>;
  /** The main task waits for something that never comes: nothing was ready, and no timer was left. */
  deadlock: boolean;
  /**
   * The reasons why the program cannot be compared, told by asyncio's interpreter. Mostly none: see
   * gyre_rules.py.
   */
  apart?: string[];
}

/** The interpreter came to no end: it died, or hung. */
export interface Failed {
  seed: number;
  failure: string;
}
