/**
 * Runs random programs on gyre. Its twin is run_on_asyncio.py: each async function here is one coroutine
 * there, await for await.
 */
import { SimulatedEventLoop } from '../../../src/entry/sim.ts';
import type { Future, Handle, Task, TaskGroup, Timeout } from '../../../src/index.ts';
import {
  asCompleted,
  Condition,
  currentTask,
  Event,
  gather,
  Lock,
  Queue,
  Semaphore,
  shield,
  sleep,
  taskGroup,
  timeout,
  wait,
  waitFor,
} from '../../../src/index.ts';
import type { Awaited, Call, Holdable, Program, Reference, Run, Step } from './program.ts';
import { CONDITIONS, COUNTERS, EVENTS, FUTURES, LOCKS } from './program.ts';
import { catches, Failure, nameOf, words } from './words.ts';

/** The end of time: when the clock comes here, nothing else was left to do. */
const END = 2 ** 40;
/** The tasks that are left are cancelled so often. A task may swallow a cancel, and go on. */
const ROUNDS = 4;

/** The innermost limit and group around a statement. */
interface Scope {
  timeout: Timeout | null;
  group: TaskGroup | null;
}

/** A `return` was reached; null: the block went on to its end. */
type Returned = { value: number } | null;

type StepOf<Op extends Step['op']> = Extract<Step, { op: Op }>;

/** Runs a program on a loop of its own. */
export async function runOnGyre(program: Program): Promise<Run> {
  const loop = new SimulatedEventLoop();
  const machine = new Machine(loop, program);
  loop.setExceptionHandler((_loop, context) => machine.handleException(context));
  const main = machine.beginMain(program.main);
  let deadlock = false;
  for (let round = 0; round < ROUNDS; round++) {
    loop.callAt(END * (round + 1), () => loop.stop());
    await loop.runForever();
    const left = [...machine.tasks.values()].filter((task) => !task.done());
    if (round === 0) deadlock = !main.done();
    if (left.length === 0) break;
    machine.log('cancels what is left');
    for (const task of left) task.cancel();
  }
  const outcome: Record<string, string> = {};
  for (const [name, task] of machine.tasks) outcome[name] = machine.outcomeOf(name, task);
  machine.over = true;
  loop.close();
  return { seed: program.seed, log: machine.entries, outcome, deadlock };
}

class Machine {
  readonly entries: string[] = [];
  readonly tasks: Map<string, Task<number | null>> = new Map();
  over: boolean = false;
  readonly #loop: SimulatedEventLoop;
  readonly #locks: Lock[] = listOf(LOCKS, () => new Lock());
  readonly #events: Event[] = listOf(EVENTS, () => new Event());
  readonly #conditions: Condition[] = listOf(CONDITIONS, () => new Condition());
  readonly #counters: number[] = listOf(COUNTERS, () => 0);
  readonly #semaphores: Semaphore[];
  readonly #queues: Queue<number>[];
  /** Tasks and futures by the names that statements use. */
  readonly #referable: Map<Reference, Future<unknown>> = new Map();
  readonly #ended: Map<string, string> = new Map();
  readonly #calls: Map<number, Handle> = new Map();

  constructor(loop: SimulatedEventLoop, program: Program) {
    this.#loop = loop;
    this.#semaphores = program.semaphores.map((value) => new Semaphore(value));
    this.#queues = program.queues.map((maxsize) => new Queue<number>(maxsize));
    for (let index = 0; index < FUTURES; index++) this.#referable.set(`F${index}`, loop.createFuture());
  }

  // --- the log ---

  log(text: string): void {
    if (this.over) return;
    this.entries.push(`${this.#time()} ${this.#nameOfCurrent()} ${text}`);
  }

  #time(): string {
    const now = this.#loop.time();
    return now < END ? String(now) : `end+${now % END}`;
  }

  /** The current task by its name; outside of the running loop there is none. */
  #nameOfCurrent(): string {
    return (this.#loop.isRunning() ? currentTask()?.name : undefined) ?? '-';
  }

  #done(step: Step, value?: unknown): void {
    this.log(`${step.id} ${step.op} ${words(value)}`);
  }

  #failed(step: Step, error: unknown): void {
    this.log(`${step.id} ${step.op} !${nameOf(error)}`);
  }

  handleException(context: { handle?: unknown; exception?: unknown }): void {
    if (context.handle) this.log(`reported ${nameOf(context.exception)}`);
  }

  // --- tasks ---

  beginMain(body: Step[]): Task<number | null> {
    const scope: Scope = { timeout: null, group: null };
    return this.#register(
      'T0',
      this.#loop.createTask(() => this.#runTask('T0', body, scope), { name: 'T0' }),
    );
  }

  #register(name: string, task: Task<number | null>): Task<number | null> {
    this.tasks.set(name, task);
    this.#referable.set(name.replace(/#.*/, ''), task as Future<unknown>);
    return task;
  }

  #nameFor({ task }: { task: Reference }): string {
    const count = [...this.tasks.keys()].filter((known) => known.replace(/#.*/, '') === task).length;
    return count === 0 ? task : `${task}#${count + 1}`;
  }

  #spawn(step: StepOf<'spawn'>, scope: Scope): string {
    const name = this.#nameFor(step);
    this.#register(
      name,
      this.#loop.createTask(() => this.#runTask(name, step.body, scope), { name }),
    );
    return name;
  }

  #spawnInGroup(step: StepOf<'groupSpawn'>, scope: Scope, group: TaskGroup): string {
    const name = this.#nameFor(step);
    this.#register(
      name,
      group.createTask(() => this.#runTask(name, step.body, scope), { name }),
    );
    return name;
  }

  async #runTask(name: string, body: Step[], scope: Scope): Promise<number | null> {
    this.log('begins');
    let returned: Returned;
    try {
      returned = await this.#block(body, scope);
    } catch (error) {
      this.#ended.set(name, this.#time());
      this.log(`ends !${nameOf(error)}`);
      throw error;
    }
    const value = returned === null ? null : returned.value;
    this.#ended.set(name, this.#time());
    this.log(`ends ${words(value)}`);
    return value;
  }

  /** Those that exist by now. A task does not wait for itself. */
  #known(references: Reference[]): Future<unknown>[] {
    const current = currentTask() as Future<unknown> | null;
    return references
      .map((reference) => this.#referable.get(reference))
      .filter((one) => one !== undefined && one !== current) as Future<unknown>[];
  }

  // --- statements that do not await ---

  #runCalls(calls: Call[], scope: Scope): void {
    for (const step of calls) {
      try {
        this.#done(step, this.#call(step, scope));
      } catch (error) {
        this.#failed(step, error);
        throw error;
      }
    }
  }

  #call(step: Call, scope: Scope): unknown {
    switch (step.op) {
      case 'cancel': {
        const task = this.#referable.get(step.task);
        return task === undefined ? 'absent' : Number(task.cancel());
      }
      case 'setEvent':
        return at(this.#events, step.index).set();
      case 'clearEvent':
        return at(this.#events, step.index).clear();
      case 'setResult':
        return this.#referable.get(step.future)?.setResult(step.value);
      case 'setException':
        return this.#referable.get(step.future)?.setException(new Failure(step.error));
      case 'putNowait':
        return at(this.#queues, step.index).putNowait(step.value);
      case 'getNowait':
        return at(this.#queues, step.index).getNowait();
      case 'taskDone':
        return at(this.#queues, step.index).taskDone();
      case 'shutdown':
        return at(this.#queues, step.index).shutdown(step.immediate);
      case 'releaseLock':
        return at(this.#locks, step.index).release();
      case 'releaseSemaphore':
        return at(this.#semaphores, step.index).release();
      case 'notify':
        return at(this.#conditions, step.index).notify(step.count);
      case 'notifyAll':
        return at(this.#conditions, step.index).notifyAll();
      case 'add':
        this.#counters[step.index] = at(this.#counters, step.index) + 1;
        return undefined;
      case 'spawn':
        return this.#spawn(step, scope);
      case 'callSoon':
        this.#calls.set(
          step.id,
          this.#loop.callSoon(() => this.#runCalls(step.calls, scope)),
        );
        return undefined;
      case 'callLater':
        this.#calls.set(
          step.id,
          this.#loop.callLater(step.seconds, () => this.#runCalls(step.calls, scope)),
        );
        return undefined;
      case 'cancelCall': {
        const call = this.#calls.get(step.call);
        return call === undefined ? 'absent' : call.cancel();
      }
      case 'onDone':
        for (const one of this.#known([step.reference])) {
          one.addDoneCallback(() => this.#runCalls(step.calls, scope));
        }
        return undefined;
      case 'raise':
        throw new Failure(step.error);
    }
  }

  // --- statements of tasks ---

  async #block(steps: Step[], scope: Scope): Promise<Returned> {
    for (const step of steps) {
      let returned: Returned;
      try {
        returned = await this.#step(step, scope);
      } catch (error) {
        this.#failed(step, error);
        throw error;
      }
      if (returned !== null) return returned;
    }
    return null;
  }

  async #step(step: Step, scope: Scope): Promise<Returned> {
    switch (step.op) {
      case 'hold':
        return await this.#hold(step, scope);
      case 'timeout':
        return await this.#timeout(step, scope);
      case 'group':
        return await this.#group(step, scope);
      case 'call':
        return await this.#callBlock(step, scope);
      case 'repeat':
        return await this.#repeat(step, scope);
      case 'try':
        return await this.#try(step, scope);
      case 'return':
        this.#done(step, step.value);
        return { value: step.value };
      default:
        this.#done(step, await this.#simple(step, scope));
        return null;
    }
  }

  /** One await, or none. */
  #simple(step: Exclude<Step, { op: Composite }>, scope: Scope): unknown {
    switch (step.op) {
      case 'sleep':
        return sleep(step.seconds);
      case 'await':
        return this.#awaitable(step.what) ?? 'absent';
      case 'waitFor': {
        const what = this.#awaitable(step.what);
        return what === null ? 'absent' : waitFor(what, step.seconds);
      }
      case 'shield': {
        const [inner] = this.#known([step.reference]);
        return inner === undefined ? 'absent' : shield(inner);
      }
      case 'gather':
        return gather({ returnExceptions: step.returnExceptions }, ...this.#known(step.references));
      case 'wait':
        return this.#wait(step);
      case 'asCompleted':
        return this.#asCompleted(step);
      case 'conditionWait':
        return at(this.#conditions, step.index).wait();
      case 'conditionWaitFor': {
        const reached = (): boolean => at(this.#counters, step.counter) >= step.atLeast;
        return at(this.#conditions, step.index).waitFor(reached);
      }
      case 'reschedule': {
        if (scope.timeout === null) return 'absent';
        return scope.timeout.reschedule(step.seconds === null ? null : this.#loop.time() + step.seconds);
      }
      case 'groupSpawn':
        return scope.group === null ? 'absent' : this.#spawnInGroup(step, scope, scope.group);
      case 'cancelSelf':
        return Number(currentTask()?.cancel());
      case 'uncancel':
        return currentTask()?.uncancel();
      default:
        return this.#call(step, scope);
    }
  }

  #awaitable(what: Awaited): Future<unknown> | null {
    switch (what.kind) {
      case 'reference':
        return this.#known([what.reference])[0] ?? null;
      case 'event':
        return at(this.#events, what.index).wait();
      case 'get':
        return at(this.#queues, what.index).get();
      case 'put':
        return at(this.#queues, what.index).put(what.value);
      case 'join':
        return at(this.#queues, what.index).join();
    }
  }

  async #wait(step: StepOf<'wait'>): Promise<unknown> {
    const known = this.#known(step.references);
    if (known.length === 0) return 'absent';
    const [done] = await wait(known, { timeout: step.seconds, returnWhen: step.until });
    return this.#namesOf(done);
  }

  async #asCompleted(step: StepOf<'asCompleted'>): Promise<void> {
    const pending = this.#known(step.references).filter((one) => !one.done());
    for await (const one of asCompleted(pending, { timeout: step.seconds })) {
      this.log(`${step.id} completes ${this.#namesOf(new Set([one]))[0]}`);
    }
  }

  #namesOf(some: ReadonlySet<Future<unknown>>): string[] {
    const names = [...this.#referable].filter(([, one]) => some.has(one)).map(([name]) => name);
    return names.length > 0 ? names.sort() : ['one that was spawned before'];
  }

  async #hold(step: StepOf<'hold'>, scope: Scope): Promise<Returned> {
    const held = this.#holdable(step.what);
    await (step.limit === null ? held.acquire() : waitFor(held.acquire(), step.limit));
    this.log(`${step.id} holds`);
    let returned: Returned;
    try {
      returned = await this.#block(step.body, scope);
    } finally {
      held.release();
    }
    this.#done(step);
    return returned;
  }

  #holdable({ kind, index }: Holdable): Lock | Semaphore | Condition {
    switch (kind) {
      case 'lock':
        return at(this.#locks, index);
      case 'semaphore':
        return at(this.#semaphores, index);
      case 'condition':
        return at(this.#conditions, index);
    }
  }

  async #timeout(step: StepOf<'timeout'>, scope: Scope): Promise<Returned> {
    const returned = await timeout(step.seconds, (inner) =>
      this.#block(step.body, { ...scope, timeout: inner }),
    );
    this.#done(step);
    return returned;
  }

  async #group(step: StepOf<'group'>, scope: Scope): Promise<Returned> {
    const returned = await taskGroup((group) => this.#block(step.body, { ...scope, group }));
    this.#done(step);
    // A body that the group has cut short gives undefined.
    return returned ?? null;
  }

  async #callBlock(step: StepOf<'call'>, scope: Scope): Promise<null> {
    const returned = await this.#block(step.body, scope);
    this.#done(step, returned?.value);
    return null;
  }

  async #repeat(step: StepOf<'repeat'>, scope: Scope): Promise<Returned> {
    for (let left = step.times; left > 0; left--) {
      const returned = await this.#block(step.body, scope);
      if (returned !== null) return returned;
    }
    this.#done(step);
    return null;
  }

  async #try(step: StepOf<'try'>, scope: Scope): Promise<Returned> {
    let returned: Returned;
    try {
      try {
        returned = await this.#block(step.body, scope);
      } catch (error) {
        if (!catches(step.catches, error)) throw error;
        this.log(`${step.id} catches ${nameOf(error)}`);
        returned = await this.#block(step.handler, scope);
        if (step.rethrow) throw error;
      }
    } finally {
      await this.#block(step.last, scope);
    }
    this.#done(step);
    return returned;
  }

  // --- the end ---

  outcomeOf(name: string, task: Task<number | null>): string {
    if (!task.done()) return 'pending';
    const ended = this.#ended.get(name) ?? 'no time';
    if (task.cancelled()) return `Cancelled at ${ended}`;
    const exception = task.exception();
    return exception === null
      ? `result ${words(task.result())} at ${ended}`
      : `${nameOf(exception)} at ${ended}`;
  }
}

type Composite = 'hold' | 'timeout' | 'group' | 'call' | 'repeat' | 'try' | 'return';

function listOf<T>(length: number, make: () => T): T[] {
  return Array.from({ length }, make);
}

function at<T>(list: readonly T[], index: number): T {
  return list[index] as T;
}
