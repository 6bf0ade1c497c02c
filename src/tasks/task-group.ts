import { CancelledError, InvalidStateError } from '../base/errors.ts';
import { counted, showInOneLine } from '../base/one-line.ts';
import { checkBoolean, checkFunction, checkOptions, checkSignal } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import { inContext } from '../loop/context-option.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { onAbort } from './abort-signal.ts';
import { Body } from './body.ts';
import { asCancel, byTask, cancelNow } from './cancellation.ts';
import { DoneCallback } from './done-callback.ts';
import { isAwaitable } from './ensure-future.ts';
import { Future } from './future.ts';
import { aborted } from './settled.ts';
import type { Task, TaskMaker, TaskOptions } from './task.ts';

/** A task of a group. The group knows it before its first step runs. */
interface Member {
  task: Task | null;
  /** True after the task's function was called. A promise counts as begun. */
  begun: boolean;
}

/** Settled when no task of a group is left, or when one has failed. */
class GroupEnd extends Future<void> {
  readonly #members: ReadonlySet<Member>;

  constructor(loop: Loop, members: ReadonlySet<Member>) {
    super(loop);
    this.#members = members;
  }

  override _asWait(): string {
    return `the end of ${counted(this.#members.size, 'task')}`;
  }

  override _waitLabel(): string {
    return 'the end of a group';
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return Array.from(this.#members, ({ task }) => task).filter((task) => task !== null);
  }
}

/** The argument of the body of {@link taskGroup}. Its tasks end before the group ends. */
export class TaskGroup {
  readonly #loop: TaskMaker;
  /** Runs the body. `taskGroup()` returns it. */
  readonly #operation: Body<unknown>;
  readonly #members: Set<Member> = new Set();
  /** The failures, in the order in which they came. */
  readonly #errors: unknown[] = [];
  /** The reason with which the group cancels its tasks, or null. */
  #reason: CancelledError | null = null;
  /** The error that `taskGroup()` throws if its signal aborted. */
  #aborted: CancelledError | null = null;
  #bodyEnded: boolean = false;
  /** Settled when no task is left. The group waits for it after the body has ended. */
  #empty: Future<void> | null = null;

  /** @internal */
  constructor(
    loop: TaskMaker,
    body: (group: TaskGroup) => PromiseLike<unknown>,
    signal: AbortSignal | undefined,
  ) {
    this.#loop = loop;
    this.#operation = new Body(loop, () => this.#run(body, signal), 'taskGroup');
  }

  /** Aborts when the group fails or is cancelled. For operations of the body that accept a signal. */
  get signal(): AbortSignal {
    return this.#operation.bodySignal;
  }

  /**
   * Starts a task of the group, as `loop.createTask()` does. Tasks of the group may call it, too.
   *
   * Either the task starts or its caller gets an error. If the group is cancelled before the task's first
   * turn, the task's function is still called, and is cancelled at its first await.
   *
   * @param fn an async function without arguments, or a promise. A cancel of a task over a promise ends only
   *   the wait
   * @param options `name`: shown in reports. `eager: true`: the first step runs now. `signal`: cancels this
   *   task. `context`: the async context in which the task runs
   * @returns the task. The group handles its failure, so the caller need not await it
   * @throws InvalidStateError if the group has ended or is being cancelled; then nothing was started
   * @throws TypeError if `fn` is neither a function nor a promise
   */
  createTask<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>, options: TaskOptions = {}): Task<T> {
    checkOptions('options', options, ['name', 'eager', 'signal', 'context']);
    if (options.eager !== undefined) checkBoolean('options.eager', options.eager);
    if (this.#over()) throw new InvalidStateError('the task group is over: the task was not started');
    if (this.#reason !== null) {
      throw new InvalidStateError('the task group is being cancelled: the task was not started');
    }
    const { eager, ...lazily } = options;
    const isFunction = typeof fn === 'function' && !isAwaitable(fn);
    const member: Member = { task: null, begun: !isFunction };
    const task = this.#loop.createTask(isFunction ? () => this.#begin(member, fn) : fn, lazily);
    member.task = task as Task;
    this.#members.add(member);
    new DoneCallback(member.task, () => this.#memberDone(member, task as Task));
    // Don't run the first step earlier: it may fail, or end the group. (A task factory may have run a first
    // step above, which did so already.)
    if (eager === true) inContext(options.context, () => task._run());
    else this.#cancelIfEnding(member);
    return task;
  }

  /**
   * Ends the group early: cancels its tasks and its body, and `taskGroup()` resolves as if they had ended by
   * themselves. If the body was interrupted, its result is `undefined`. After the group has ended, and at a
   * second call, nothing happens.
   */
  cancel(): void {
    this.#cancel(new CancelledError(`the task group was cancelled${byTask()}`));
  }

  /** @internal */
  _facts(): string {
    const failures = this.#errors.length === 0 ? '' : `, ${counted(this.#errors.length, 'failure')}`;
    const state = this.#operation.done() ? 'ended' : this.#reason === null ? 'running' : 'cancelling';
    return `${state}, ${counted(this.#members.size, 'task')}${failures}`;
  }

  /** @internal */
  _more(): Record<string, unknown> {
    return { tasks: [...this.#members], errors: this.#errors };
  }

  /** @internal */
  _begin(): Future<unknown> {
    this.#operation._run();
    return this.#operation;
  }

  async #run(
    body: (group: TaskGroup) => PromiseLike<unknown>,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const removeListener = onAbort(signal, (error) => {
      this.#aborted = error;
      this.#cancel(error);
    });
    let result: unknown;
    let cancelled: CancelledError | null = null;
    try {
      result = await body(this);
    } catch (error) {
      cancelled = asCancel(error);
      if (cancelled === null) this.#failed(error);
      this.#abort(cancelled ?? new CancelledError('the body of the task group has failed', { cause: error }));
    }
    this.#bodyEnded = true;
    this.#operation.bodyOver();
    if (this.#operation.ownDoing) cancelled = null;
    cancelled = (await this.#tasksEnded()) ?? cancelled;
    removeListener();
    this.#throwFailures(cancelled);
    return result;
  }

  /** From here on, only a cancel from outside can end this wait. Returns the first such error. */
  async #tasksEnded(): Promise<CancelledError | null> {
    let cancelled: CancelledError | null = null;
    while (this.#members.size > 0) {
      this.#empty = new GroupEnd(this.#loop, this.#members);
      try {
        await this.#empty;
      } catch (error) {
        cancelled ??= error as CancelledError;
        this.#abort(cancelled);
      }
    }
    return cancelled;
  }

  #throwFailures(cancelled: CancelledError | null): void {
    if (this.#errors.length > 0) {
      // The failures are thrown first. A cancel from outside is kept for the next await.
      this.#operation._giveBack(cancelled ?? undefined, 'yes');
      throw new AggregateError(this.#errors, `unhandled errors in a task group (${this.#errors.length})`);
    }
    const error = cancelled ?? this.#aborted;
    if (error !== null) throw error;
  }

  #begin<T>(member: Member, fn: () => PromiseLike<T>): PromiseLike<T> {
    member.begun = true;
    this.#cancelIfEnding(member);
    return fn();
  }

  #cancelIfEnding({ begun, task }: Member): void {
    if (this.#reason !== null && begun && task !== null) cancelNow(task, this.#reason);
  }

  #memberDone(member: Member, task: Task): void {
    this.#members.delete(member);
    if (this.#members.size === 0 && this.#empty?.done() === false) this.#empty.setResult();
    if (task._state !== 'exception') return;
    this.#failed(task.exception());
    // The first failure wakes the group, as in asyncio.
    if (this.#reason === null && this.#empty?.done() === false) this.#empty.setResult();
    const message = `task ${task.name} of the task group has failed`;
    this.#cancel(new CancelledError(message, { cause: task.exception() }));
  }

  /**
   * If the body awaits a failed task, the same error comes out of the task and of the body. Count it once.
   */
  #failed(error: unknown): void {
    const known = typeof error === 'object' && this.#errors.includes(error);
    if (!known) this.#errors.push(error);
  }

  #cancel(reason: CancelledError): void {
    if (this.#reason !== null) return;
    this.#abort(reason);
    if (!this.#bodyEnded) this.#operation.cancelBody(reason);
  }

  /** Cancels the tasks. A task that has not begun is cancelled when it begins. */
  #abort(reason: CancelledError): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    for (const member of this.#members) this.#cancelIfEnding(member);
  }

  #over(): boolean {
    return this.#bodyEnded && this.#members.size === 0;
  }
}

showInOneLine(TaskGroup);

/**
 * Runs `body` with a group in which it can start tasks, and ends when the body and all these tasks have
 * ended.
 *
 * The first failure of a task or of the body cancels everything else. When all have ended, `taskGroup()`
 * throws an `AggregateError` with all failures as `errors`, in the order in which they came. A single task
 * that is cancelled is not a failure.
 *
 * @param body receives the {@link TaskGroup}: `createTask(fn, { name, eager })`, `cancel()`
 * @param options `signal`, which ends the group with a `CancelledError`
 * @returns a future of the result of `body`
 * @throws AggregateError of all failures
 * @throws LoopError `ERR_NO_RUNNING_LOOP` outside of a loop
 *
 * **Cancellation** cancels the body and the tasks of the group; the error is thrown when all have ended. If
 * there were failures, they are thrown instead, and the cancel is thrown at the next await.
 *
 * @example
 * ```ts
 * import { run, sleep, taskGroup } from 'gyre';
 *
 * await run(async () => {
 *   const sum = await taskGroup(async (group) => {
 *     const one = group.createTask(() => sleep(0.01, 1));
 *     const two = group.createTask(() => sleep(0.02, 2), { name: 'two' });
 *     return (await one) + (await two);
 *   });
 *   console.log(sum); // 3
 *
 *   await taskGroup(async (group) => {
 *     group.createTask(() => sleep(3600));
 *     group.createTask(async () => {
 *       throw new Error('no');
 *     });
 *   }).catch((error: AggregateError) => console.log(error.errors)); // [Error: no]
 * });
 * ```
 */
export function taskGroup<T>(
  body: (group: TaskGroup) => PromiseLike<T>,
  options: SignalOptions = {},
): Future<T> {
  checkFunction('body', body);
  checkOptions('options', options, ['signal']);
  const { signal } = options;
  checkSignal('options.signal', signal);
  const loop = runningLoop() as TaskMaker;
  if (signal?.aborted) return aborted(loop, signal);
  return new TaskGroup(loop, body, signal)._begin() as Future<T>;
}
