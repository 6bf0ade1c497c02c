/**
 * What a caller wants to wait for, as futures of one loop. Everything is checked before anything is begun.
 */
import { invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop, runningLoopOrNull } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { ensureFuture, isAwaitable } from './ensure-future.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

/**
 * A future for each awaitable, in order. A future stands for itself; what was made of a promise is ours to
 * drop.
 */
export interface Collected {
  loop: Loop;
  aws: Awaitable<unknown>[];
  futures: Future<unknown>[];
}

/** The future behind one awaitable, which must belong to the running loop if there is one. */
export function collectOne<T>(aw: Awaitable<T>): Future<T> {
  return ensureFuture(aw, { loop: commonLoop([aw], () => 'aw') });
}

export function collect(aws: Awaitable<unknown>[]): Collected {
  const loop = commonLoop(aws, (index) => `aws[${index}]`);
  return { loop, aws, futures: aws.map((aw) => ensureFuture(aw, { loop })) };
}

/** The elements of an iterable, each once. */
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
