/** The shape of a snapshot. Everything in it survives `JSON.stringify()`. */
import type { PoolFacts } from '../executor/pool-executor.ts';
import type { ResourceFacts } from '../loop/ownership.ts';
import type { LoopMetrics } from './metrics.ts';
import type { WaitKind } from './waits.ts';

/** The state of all loops of a thread. */
export interface Snapshot {
  /** The version of this shape. */
  readonly format: 1;
  readonly pid: number;
  readonly threadId: number;
  readonly isMainThread: boolean;
  /** The version of Node, or of the host that stands for it. */
  readonly node: string;
  /** The file of the program, or the title of the process if it has none. */
  readonly title: string;
  /** Seconds since the start of the thread, on a monotonic clock. */
  readonly uptimeSeconds: number;
  /** The loops that are not closed, in the order of their creation. */
  readonly loops: readonly LoopSnapshot[];
  /** The pools of threads and processes that have workers. */
  readonly pools: readonly PoolFacts[];
}

/** The state of a loop. */
export interface LoopSnapshot {
  /** Unique among the loops of this copy of gyre in this thread. */
  readonly id: number;
  /** The name of the class. */
  readonly kind: string;
  /** `node`, `uv` or `sim`. */
  readonly backend: string;
  readonly running: boolean;
  readonly debug: boolean;
  /** Seconds, on the clock of the loop. */
  readonly time: number;
  /** The number of turns so far. Two snapshots give the turns in a second. */
  readonly turns: number;
  /** The entries that are ready for the next turn. */
  readonly ready: number;
  /** See `loop.metrics()`. */
  readonly metrics: LoopMetrics;
  readonly taskCount: number;
  /** The pending tasks, oldest first; at most a thousand. */
  readonly tasks: readonly TaskSnapshot[];
  /** Tasks that wait for each other, by their ids: a deadlock, unless a limit or a cancel ends it. */
  readonly cycles: readonly (readonly number[])[];
  /** The waits of code outside of tasks; one list for each piece of code. */
  readonly loose: readonly (readonly WaitSnapshot[])[];
  /** Limits that have expired at every use since the first expiry; that of the last expiry is the last. */
  readonly expiredLimits: readonly ExpiredLimitSnapshot[];
  readonly handleCount: number;
  /** Connections, servers, datagram endpoints, children and pending operations of the host. */
  readonly handles: readonly HandleSnapshot[];
  readonly timerCount: number;
  /** The timers that are due first; at most twenty. */
  readonly timers: readonly TimerSnapshot[];
}

/** A pending task. */
export interface TaskSnapshot {
  /** Unique in this thread. The task has the same id in each snapshot. */
  readonly id: number;
  /** The id of its loop. */
  readonly loop: number;
  readonly name: string;
  /**
   * `waiting`: for a future of the loop. `cancelling`: it was cancelled and has not ended. `unknown`: it
   * awaits a promise of the host, or its code is running.
   */
  readonly state: 'not started' | 'waiting' | 'cancelling' | 'unknown';
  /** Seconds since its creation. */
  readonly ageSeconds: number;
  readonly cancelRequests: number;
  /** The wait at which it stands, in one line: `timeout() > sleep(5)`. */
  readonly at: string;
  /** All its waits. It has several if it runs helpers that it does not await, or a race of promises. */
  readonly waits: readonly WaitSnapshot[];
  /** The ids of the tasks that wait for this one, also through a gather, a group or a lock. */
  readonly awaitedBy: readonly number[];
  /**
   * Whether any code waits for its end: an `await`, a group, a done callback. If none does, its exception
   * reaches the exception handler alone.
   */
  readonly awaited: boolean;
  /** The name of the task that created it; null: no task, or not in debug mode. */
  readonly createdBy: string | null;
  /** The frames of the program that created it, innermost first. Empty if debug mode is off. */
  readonly createdAt: readonly string[];
}

/** A wait for a future. */
export interface WaitSnapshot {
  /** `sleep(5)`, `timeout()`, `Lock.acquire()`, `task 'a'`, `a future`. */
  readonly on: string;
  readonly kind: WaitKind;
  /** The id of the awaited task; null: it is no task. */
  readonly task: number | null;
  /** The id of the task that holds the lock; null: nobody is known to hold anything. */
  readonly heldBy: number | null;
  /**
   * The frames of the program that began the wait, innermost first. Known for operations that open something,
   * and in debug mode for every wait; otherwise empty.
   */
  readonly begunAt: readonly string[];
  /** The number of futures that this one waits for. */
  readonly count: number;
  /** These futures; at most a hundred. */
  readonly waits: readonly WaitSnapshot[];
}

/**
 * A `timeout()`, `timeoutAt()` or `waitFor()` that has expired, and that has not ended in time since. Uses
 * with the same seconds and the same code are one limit, because their place in the program is not recorded.
 */
export interface ExpiredLimitSnapshot {
  readonly name: string;
  /** null: `timeoutAt()`. */
  readonly seconds: number | null;
  /** The limited code in one line: the beginning of the function's source, or the name of the future. */
  readonly body: string;
  /** How often it has expired in a row. */
  readonly times: number;
  /** Seconds since the last expiry. */
  readonly ageSeconds: number;
  /** The task whose limit has expired last; null: code of no task. */
  readonly task: string | null;
}

/** An object that holds a resource of the host. */
export interface HandleSnapshot extends ResourceFacts {
  /** Unique in this thread. The object has the same id in each snapshot. */
  readonly id: number;
  /** One line. */
  readonly description: string;
  readonly ageSeconds: number | null;
  /** The name of the task that created it; null: no task, or unknown. */
  readonly owner: string | null;
  /** The server that accepted the connection. */
  readonly acceptedBy: string | null;
}

/** A scheduled callback with a deadline. */
export interface TimerSnapshot {
  readonly callback: string;
  /** Negative: it is late. */
  readonly inSeconds: number;
  /** Empty if debug mode is off. */
  readonly createdAt: readonly string[];
}
