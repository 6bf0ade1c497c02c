/** The options of the executor and of a job, and their checks. */

import { LoopError } from '../base/errors.ts';
import {
  checkFunction,
  checkInteger,
  checkOptions,
  checkSeconds,
  checkSignal,
  checkString,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { SubmitOptions } from '../executor/executor.ts';
import type { OnProgress } from '../executor/progress-caller.ts';

/** The address of a Redis, and every other option of the client `ioredis`. */
export interface RedisAddress {
  host?: string;
  port?: number;
  username?: string;
  password?: string;
  db?: number;
  /** The path of a unix socket, in place of `host` and `port`. */
  path?: string;
  tls?: object;
  readonly [option: string]: unknown;
}

/** Where the queue is: the same for the executor and its workers. */
export interface QueueOptions {
  /** The name of the queue, without a colon. */
  queue: string;
  /** A URL such as `redis://:password@host:6379/0`, or the options of `ioredis`. */
  connection?: string | RedisAddress | undefined;
  /** The prefix of all keys in Redis. Default: `bull`, as in BullMQ. */
  prefix?: string;
}

/** Options of a job. {@link BullMQExecutor.withOptions} sets them for calls that cannot pass options. */
export interface BullMQJobOptions {
  /** Called with each value of the job's `currentJob().reportProgress(value)`, before the result arrives. */
  onProgress?: OnProgress;
  /** Jobs with a lower number start first, and those with 0 before all others. 0 to 2,097,151. Default: 0. */
  priority?: number;
  /** Seconds before the job may start. Default: 0. */
  delay?: number;
  /** How often a job that throws is run again. Default: 0. */
  retries?: number;
  /** Seconds before the first retry. Each further retry waits twice as long as the one before. Default: 0. */
  backoff?: number;
  /**
   * The job's deadline, in seconds from the call. It includes the time in the queue and all retries, and a
   * worker observes it, too. After it the promise rejects with a `TimeoutError`. Default: Infinity.
   */
  timeout?: number;
  /** While a job with this key waits or runs, another call with the key shares its result. */
  key?: string;
  /**
   * If a worker has another version of the module, or lacks it: `wait` leaves the job for a worker that has
   * this version, `fail` rejects the promise. Default: `wait`.
   */
  otherVersion?: 'wait' | 'fail';
}

/** The options of `BullMQExecutor.submit()`. */
export interface BullMQSubmitOptions extends SubmitOptions, BullMQJobOptions {}

/** A job's options with all defaults. */
export type JobPlan = Required<Omit<BullMQJobOptions, 'onProgress' | 'key'>> & {
  readonly key: string | null;
};

export const JOB_OPTIONS: readonly string[] = [
  'onProgress',
  'priority',
  'delay',
  'retries',
  'backoff',
  'timeout',
  'key',
  'otherVersion',
];

/** BullMQ's own limit. */
const LOWEST_PRIORITY = 2_097_151;

/** Ten years, in seconds. Redis keeps times as doubles, with the number of the job in the lower bits. */
const LONGEST = 315_360_000;

export function checkJobOptions(options: BullMQSubmitOptions): JobPlan {
  const { onProgress, signal, transfer = [], key } = options;
  const { priority = 0, delay = 0, retries = 0, backoff = 0 } = options;
  const { timeout = Number.POSITIVE_INFINITY, otherVersion = 'wait' } = options;
  if (onProgress !== undefined) checkFunction('options.onProgress', onProgress);
  checkSignal('options.signal', signal);
  checkInteger('options.priority', priority, 0, LOWEST_PRIORITY);
  checkInteger('options.retries', retries, 0, 1_000_000);
  checkDuration('options.delay', delay, LONGEST);
  checkDuration('options.backoff', backoff, LONGEST);
  checkDuration('options.timeout', timeout, Number.POSITIVE_INFINITY);
  if (key !== undefined) checkString('options.key', key);
  if (otherVersion !== 'wait' && otherVersion !== 'fail') {
    throw invalidArgType('options.otherVersion', otherVersion, "'wait' or 'fail'");
  }
  if (!Array.isArray(transfer)) throw invalidArgType('options.transfer', transfer, 'an array');
  if (transfer.length > 0) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'another machine cannot receive transferred objects: pass them as arguments, which are copied',
    );
  }
  return { priority, delay, retries, backoff, timeout, key: key ?? null, otherVersion };
}

export function checkQueueOptions({ queue, connection, prefix }: QueueOptions): void {
  checkString('options.queue', queue);
  if (queue === '' || queue.includes(':')) {
    throw invalidArgType('options.queue', queue, 'the name of a queue, without a colon');
  }
  if (prefix !== undefined) checkString('options.prefix', prefix);
  if (connection === undefined || typeof connection === 'object') {
    checkOptionsObject(connection);
  } else if (typeof connection !== 'string' || !/^rediss?:\/\//.test(connection)) {
    throw invalidArgType('options.connection', connection, "a URL such as 'redis://host:6379' or an object");
  }
}

function checkOptionsObject(connection: unknown): void {
  if (connection === null) throw invalidArgType('options.connection', connection, 'a URL or an object');
}

export function checkDuration(name: string, value: unknown, most: number): void {
  checkSeconds(name, value);
  if ((value as number) < 0 || (value as number) > most) {
    throw outOfRange(name, value, `a number of seconds from 0 to ${most}`);
  }
}

export { checkOptions };
