import type { Future, GatheredOrErrors, Task, TaskGroup, Timeout } from 'gyre';
import {
  asCompleted,
  ensureFuture,
  FIRST_COMPLETED,
  gather,
  getRunningLoop,
  shield,
  sleep,
  taskGroup,
  timeout,
  timeoutAt,
  wait,
  waitFor,
} from 'gyre';
import type { Equals } from './equals.ts';
import { check } from './equals.ts';

/** Returns the type of a call's result, without calling it. */
type Of<F extends (...args: never[]) => unknown> = ReturnType<F>;

declare const text: Future<string>;
declare const number: Promise<number>;
declare const task: Task<boolean>;

// gather is a tuple, of futures, promises and tasks alike
const gathered = () => gather(text, number, task);
check<Equals<Of<typeof gathered>, Future<[string, number, boolean]>>>();
const gatheredNone = () => gather();
check<Equals<Of<typeof gatheredNone>, Future<[]>>>();
const gatheredMany = () => gather(...[1, 2, 3].map((value) => sleep(0, value)));
check<Equals<Of<typeof gatheredMany>, Future<number[]>>>();
const gatheredNested = () => gather(Promise.resolve(gather(text)));
check<Equals<Of<typeof gatheredNested>, Future<[[string]]>>>();

// with returnExceptions each may be an Error
const settled = () => gather({ returnExceptions: true }, text, number);
check<Equals<Of<typeof settled>, Future<[string | Error, number | Error]>>>();
check<Equals<GatheredOrErrors<[Future<string>]>, [string | Error]>>();
const notSettled = () => gather({ returnExceptions: false }, text, number);
check<Equals<Of<typeof notSettled>, Future<[string, number]>>>();
const withSignal = (signal: AbortSignal) => gather({ signal }, text);
check<Equals<Of<typeof withSignal>, Future<[string]>>>();
const undecided = (returnExceptions: boolean) => gather({ returnExceptions }, text);
check<Equals<Of<typeof undecided>, Future<[string | Error]>>>();

// wait returns the objects that it was given
const waited = () => wait([text, text], { returnWhen: FIRST_COMPLETED, timeout: 5 });
check<Equals<Of<typeof waited>, Future<[done: Set<Future<string>>, pending: Set<Future<string>>]>>>();
const waitedMixed = () => wait(new Set([text, number]));
check<
  Equals<
    Of<typeof waitedMixed>,
    Future<[done: Set<Future<string> | Promise<number>>, pending: Set<Future<string> | Promise<number>>]>
  >
>();

const iterated = async (): Promise<void> => {
  for await (const each of asCompleted([text])) check<Equals<typeof each, Future<string>>>();
  for await (const each of asCompleted([number, task])) {
    check<Equals<Awaited<typeof each>, number | boolean>>();
  }
};
check<Equals<Of<typeof iterated>, Promise<void>>>();

const limited = () => waitFor(number, 5);
check<Equals<Of<typeof limited>, Future<number>>>();
const shielded = () => shield(task);
check<Equals<Of<typeof shielded>, Future<boolean>>>();
const ensured = () => ensureFuture(number);
check<Equals<Of<typeof ensured>, Future<number>>>();
const slept = () => sleep(1);
check<Equals<Of<typeof slept>, Future<void>>>();
const sleptWith = () => sleep(1, 'value');
check<Equals<Of<typeof sleptWith>, Future<string>>>();

const timed = () =>
  timeout(5, async (scope) => {
    check<Equals<typeof scope, Timeout>>();
    return text;
  });
check<Equals<Of<typeof timed>, Future<string>>>();
const timedAt = () => timeoutAt(null, () => text);
check<Equals<Of<typeof timedAt>, Future<string>>>();

const grouped = () =>
  taskGroup(async (group) => {
    check<Equals<typeof group, TaskGroup>>();
    const child = group.createTask(async () => 5, { name: 'five', eager: true });
    check<Equals<typeof child, Task<number>>>();
    return [await child, await text] as const;
  });
check<Equals<Of<typeof grouped>, Future<readonly [number, string]>>>();

const awaited = async (): Promise<void> => {
  const created = getRunningLoop().createTask(async () => 'text');
  check<Equals<typeof created, Task<string>>>();
  const fromPromise = getRunningLoop().createTask(number);
  check<Equals<typeof fromPromise, Task<number>>>();
  const result = await created;
  check<Equals<typeof result, string>>();
  const caught = await created.catch(() => 0);
  check<Equals<typeof caught, string | number>>();
  const [one, two] = await gather(text, number);
  check<Equals<typeof one, string>>();
  check<Equals<typeof two, number>>();
};
check<Equals<Of<typeof awaited>, Promise<void>>>();

export const mistakes = (): void => {
  // @ts-expect-error: a function is no awaitable: call it, or make it a task
  void gather(async () => 1);
  // @ts-expect-error: nor is a value
  void gather(text, 5);
  // @ts-expect-error: an array of awaitables is not one: spread it
  void gather([text, number]);
  // @ts-expect-error: an option that there is not
  void gather({ returnErrors: true }, text);
  // @ts-expect-error: wait takes a collection
  void wait(text, number);
  // @ts-expect-error: a condition is one of three
  void wait([text], { returnWhen: 'SOMETIMES' });
  // @ts-expect-error: the limit may be null, but must be there
  void waitFor(text);
  // @ts-expect-error: an awaitable, not a function
  void waitFor(() => text, 5);
  // @ts-expect-error: a body, not an awaitable
  void timeout(5, text);
};
