import type { Event, Future } from '../../src/index.ts';
import {
  Barrier,
  BoundedSemaphore,
  Condition,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  Semaphore,
} from '../../src/index.ts';
import type { Equals } from './equals.ts';
import { check } from './equals.ts';

const signal = new AbortController().signal;

// --- Lock, Semaphore ---

const lock = new Lock();
const acquired = lock.acquire({ signal });
check<Equals<typeof acquired, Future<Disposable>>>();
check<Equals<ReturnType<Lock['release']>, void>>();
check<Equals<ReturnType<Lock['locked']>, boolean>>();
check<Equals<ReturnType<Semaphore['acquire']>, Future<Disposable>>>();
const bounded: Semaphore = new BoundedSemaphore(2);
void bounded;
async function guarded(): Promise<void> {
  using _ = await lock.acquire();
}
void guarded;

// @ts-expect-error: an option that is not there
lock.acquire({ timeout: 1 });
// @ts-expect-error: a signal is no option bag
lock.acquire(signal);
// @ts-expect-error: a number of permits
new Semaphore('1');

// --- Event, Condition ---

check<Equals<ReturnType<Event['wait']>, Future<true>>>();
check<Equals<ReturnType<Event['isSet']>, boolean>>();
const condition = new Condition(lock);
check<Equals<ReturnType<Condition['wait']>, Future<true>>>();
const answer = condition.waitFor(() => 42, { signal });
check<Equals<typeof answer, Future<number>>>();
condition.notify(2);
// @ts-expect-error: a condition is no lock
new Condition(condition);

// --- Barrier ---

const barrier = new Barrier(3);
check<Equals<ReturnType<Barrier['wait']>, Future<number>>>();
check<Equals<ReturnType<Barrier['reset']>, Future<void>>>();
check<Equals<typeof barrier.nWaiting, number>>();
// @ts-expect-error: it is fixed when the barrier is made
barrier.parties = 4;
// @ts-expect-error: of how many?
new Barrier();

// --- Queue ---

const queue = new Queue<string>(10);
check<Equals<ReturnType<typeof queue.get>, Future<string>>>();
check<Equals<ReturnType<typeof queue.put>, Future<void>>>();
check<Equals<ReturnType<typeof queue.getNowait>, string>>();
check<Equals<ReturnType<typeof queue.join>, Future<void>>>();
async function iterate(): Promise<void> {
  for await (const item of queue) check<Equals<typeof item, string>>();
}
void iterate;
// @ts-expect-error: not an item of this queue
queue.put(1);
// @ts-expect-error: not an item of this queue
queue.putNowait(null);

const untyped = new Queue();
check<Equals<ReturnType<typeof untyped.get>, Future<unknown>>>();

const jobs = new PriorityQueue<[number, () => void]>({ maxsize: 3, compare: ([a], [b]) => a - b });
check<Equals<ReturnType<typeof jobs.get>, Future<[number, () => void]>>>();
const asQueue: Queue<string> = new LifoQueue<string>(1);
void asQueue;
void new PriorityQueue<number>(3);
// @ts-expect-error: a comparison answers a number
void new PriorityQueue<number>({ compare: (a, b) => a < b });
