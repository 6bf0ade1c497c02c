/**
 * Converts the awaitables of a call to futures of one loop. All arguments are checked before anything starts.
 */
import { invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop, runningLoopOrNull } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { ensureFuture, isAwaitable } from './ensure-future.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

/**
 * A future for each awaitable, in order. A future is used as it is. A future that was made from a promise
 * belongs to the caller, which may cancel it.
 */
export interface Collected {
  loop: Loop;
  aws: Awaitable<unknown>[];
  futures: Future<unknown>[];
}

/** Returns a future for one awaitable, which must belong to the running loop if there is one. */
export function collectOne<T>(aw: Awaitable<T>): Future<T> {
  return ensureFuture(aw, { loop: commonLoop([aw], () => 'aw') });
}

export function collect(aws: Awaitable<unknown>[]): Collected {
  const loop = commonLoop(aws, (index) => `aws[${index}]`);
  return { loop, aws, futures: aws.map((aw) => ensureFuture(aw, { loop })) };
}

/** Returns the elements of an iterable without duplicates. */
export function distinct<A>(aws: Iterable<A>): A[] {
  const iterable = typeof aws === 'object' && aws !== null && Symbol.iterator in aws;
  if (!iterable) throw invalidArgType('aws', aws, 'an iterable of futures, tasks or promises');
  return [...new Set(aws)];
}

function commonLoop(aws: unknown[], nameOf: (index: number) => string): Loop {
  let loop = runningLoopOrNull();
  for (const [index, aw] of aws.entries()) {
    if (!isAwaitable(aw)) throw invalidArgType(nameOf(index), aw, 'a future, a task or a promise');
    if (!(aw instanceof Future)) continue;
    loop ??= aw._loop;
    if (aw._loop !== loop) throw outOfRange(nameOf(index), aw, 'a future of this loop, not of another one');
  }
  return loop ?? runningLoop();
}
