/** BullMQ and its Redis client, which are loaded on first use, and the clock of Redis. */
import type { QueueBaseOptions, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { BrokenExecutorError, LoopError } from '../base/errors.ts';
import { hostNow } from '../base/host.ts';
import type { QueueOptions, RedisAddress } from './options.ts';

export type BullMQ = typeof import('bullmq');

/** Milliseconds. A lost connection is opened again after 50, 100, 200 … and at most this time. */
const LONGEST_RETRY = 2000;

/** Milliseconds for which a measurement of the clock of Redis holds. */
const CLOCK_HOLDS = 10_000;

export async function loadBullMQ(): Promise<BullMQ> {
  try {
    return await import('bullmq');
  } catch (cause) {
    const message = 'BullMQ is not installed: npm install bullmq ioredis';
    throw new LoopError('ERR_UNSUPPORTED', message, { cause });
  }
}

export function baseOptions({ connection = {}, prefix = 'bull' }: QueueOptions): QueueBaseOptions & {
  prefix: string;
} {
  const address: RedisAddress = typeof connection === 'string' ? { url: connection } : connection;
  return {
    prefix,
    connection: {
      retryStrategy: (times: number) => Math.min(25 * 2 ** Math.min(times, 10), LONGEST_RETRY),
      // A server that became a replica by a fail-over: connect again, and send the command again.
      reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
      ...address,
      maxRetriesPerRequest: null,
    },
  };
}

/** The client of a queue or worker. BullMQ's type lacks most of its commands. */
export async function clientOf(owner: { getBackend(): RedisQueueBackend }): Promise<Redis> {
  return (await owner.getBackend().client) as unknown as Redis;
}

/** Closes at once. BullMQ's own `close()` waits for a Redis that does not answer. */
export async function disconnect(owner: {
  getBackend(): RedisQueueBackend;
  close(): Promise<void>;
}): Promise<void> {
  const done = owner.getBackend().close(true);
  await Promise.allSettled([done, owner.close()]);
}

/** Returns true if no new connection can succeed, unless the user changes something. */
export function isRefusal(error: Error): boolean {
  return /^(NOAUTH|WRONGPASS|NOPERM|ERR (AUTH|invalid password))|^Redis version/.test(error.message);
}

export function refused(cause: unknown): BrokenExecutorError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const full = message.startsWith('OOM')
    ? '. Redis is full: free memory, or raise maxmemory. BullMQ needs maxmemory-policy noeviction'
    : '';
  return new BrokenExecutorError(`Redis refused the job: ${message}${full}`, { cause });
}

/** The time of Redis, which is the same for all machines, whatever their own clocks say. */
export class RedisClock {
  readonly #client: Redis;
  #offset: number = 0;
  #measuredAt: number = Number.NEGATIVE_INFINITY;

  constructor(client: Redis) {
    this.#client = client;
  }

  /** Returns milliseconds since 1970. */
  async now(): Promise<number> {
    if (hostNow() - this.#measuredAt > CLOCK_HOLDS) await this.#measure();
    return hostNow() + this.#offset;
  }

  async #measure(): Promise<void> {
    const before = hostNow();
    const [seconds, micros] = await this.#client.time();
    const after = hostNow();
    this.#offset = Number(seconds) * 1000 + Number(micros) / 1000 - (before + after) / 2;
    this.#measuredAt = after;
  }
}

/** gyre's own keys beside those of the queue. */
export function ownKey(toKey: (name: string) => string, name: string): string {
  return toKey(`gyre:${name}`);
}

/** Job ids with the time before which they may not start: BullMQ compares with each worker's own clock. */
export const DUE = 'due';

/** The prefix of the keys that tell workers to cancel a job. */
export const CANCEL = 'cancel:';
