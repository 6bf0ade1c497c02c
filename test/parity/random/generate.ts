/** Makes a program from a seed. The same seed gives the same program, on every machine. */
import type { Awaited, Call, Caught, Family, Holdable, Program, Reference, Step, Until } from './program.ts';
import { CONDITIONS, COUNTERS, EVENTS, FUTURES, LOCKS, QUEUES, SEMAPHORES } from './program.ts';
import { Random } from './seeded.ts';
import { SimpleStatements } from './simple-statements.ts';

const MAX_TASKS = 9;
/** Statements of a program, roughly. */
const MAX_STEPS = 80;
const MAX_DEPTH = 5;
/** Statements, roughly, around a task's body at most: a task within a task begins nearly at the top. */
const TASK_DEPTH = 2;

export function generate(seed: number, family: Family): Program {
  return new Generator(seed, family).program();
}

/** The surroundings of a statement. */
interface Place {
  /**
   * The number of the task. A task waits only for tasks with a higher number, so that no two wait for each
   * other.
   */
  task: number;
  depth: number;
  inGroup: boolean;
  inTimeout: boolean;
  /** It runs more than once: deadlines that it makes at the same time would coincide. */
  repeated: boolean;
  /** A `return` in a `finally` would swallow errors. */
  inLast: boolean;
}

const TOP: Place = {
  task: 0,
  depth: 0,
  inGroup: false,
  inTimeout: false,
  repeated: false,
  inLast: false,
};

/** Statements that often fail: unguarded, they would end most tasks early. */
const FAILING: ReadonlySet<Call['op']> = new Set<Call['op']>([
  'raise',
  'getNowait',
  'putNowait',
  'setResult',
  'setException',
  'taskDone',
  'releaseLock',
]);

/** Kinds of composite statements. */
const THEMES = 13;

class Generator {
  readonly #seed: number;
  readonly #family: Family;
  readonly #distinct: boolean;
  readonly #random: Random;
  readonly #simple: SimpleStatements;
  /** The composite statement that this program has most of, so that these meet each other. */
  readonly #theme: number;
  /** The statements whose handle `cancelCall` may cancel. */
  readonly #calls: number[] = [];
  #tasks: number = 1;
  #steps: number = 0;

  constructor(seed: number, family: Family) {
    this.#seed = seed;
    this.#family = family;
    this.#distinct = family === 'distinct';
    this.#random = new Random(seed, family);
    this.#simple = new SimpleStatements(this.#random, family);
    this.#theme = this.#random.upTo(THEMES);
  }

  program(): Program {
    const semaphores = Array.from({ length: SEMAPHORES }, () => this.#random.upTo(3));
    const queues = Array.from({ length: QUEUES }, () => this.#random.upTo(3));
    const main: Step[] = [];
    for (let left = 1 + this.#random.upTo(4); left > 0; left--) main.push(this.#spawn(TOP));
    main.push(...this.#block(TOP, 2 + this.#random.upTo(5)), ...this.#openEverything());
    return { seed: this.#seed, family: this.#family, semaphores, queues, main };
  }

  /** So that not every program ends as a deadlock. */
  #openEverything(): Step[] {
    const steps: Step[] = [];
    for (let index = 0; index < EVENTS; index++) {
      if (this.#random.chance(0.5)) steps.push({ op: 'setEvent', id: this.#simple.id(), index });
    }
    if (this.#random.chance(0.5)) steps.push(this.#simple.sleep());
    for (let index = 0; index < FUTURES; index++) {
      if (this.#random.chance(0.4))
        steps.push(this.#try([this.#simple.setFuture(`F${index}`)], ['Any'], TOP));
    }
    for (let index = 0; index < CONDITIONS; index++) {
      if (!this.#random.chance(0.5)) continue;
      const body: Step[] = [this.#simple.add(), { op: 'notifyAll', id: this.#simple.id(), index }];
      steps.push({
        op: 'hold',
        id: this.#simple.id(),
        what: { kind: 'condition', index },
        limit: null,
        body,
      });
    }
    return steps;
  }

  // --- blocks ---

  #block(place: Place, length: number): Step[] {
    const steps: Step[] = [];
    for (let left = length; left > 0; left--) steps.push(this.#step(place));
    return steps;
  }

  #body(place: Place, changes: Partial<Place> = {}): Step[] {
    const inner = { ...place, ...changes, depth: place.depth + 1 };
    return this.#block(inner, 1 + this.#random.upTo(inner.depth > 2 ? 2 : 4));
  }

  #step(place: Place): Step {
    this.#steps++;
    const small = place.depth >= MAX_DEPTH || this.#steps > MAX_STEPS;
    const pick = this.#random.next();
    if (pick < 0.3) {
      const call = this.#call(place);
      const guarded = FAILING.has(call.op) && place.depth < MAX_DEPTH && this.#random.chance(0.6);
      return guarded ? this.#try([call], ['Any'], place) : call;
    }
    if (pick < 0.65 || small) return this.#wait(place);
    return this.#composite(place);
  }

  #composite(place: Place): Step {
    const id = this.#simple.id();
    switch (this.#random.chance(0.5) ? this.#theme : this.#random.upTo(THEMES)) {
      case 0:
      case 1:
        return this.#timeout(id, place);
      case 2:
      case 3:
        return { op: 'group', id, body: this.#groupBody(place) };
      case 4:
      case 5:
        return this.#hold(id, place);
      case 6:
      case 7:
        return this.#underCondition(id, place);
      case 8:
        return { op: 'call', id, body: this.#body(place) };
      case 9:
        return this.#repeat(id, this.#body(place, { repeated: true }));
      case 10:
        return this.#repeat(id, this.#work());
      default:
        return this.#try(this.#body(place), this.#caught(), place);
    }
  }

  #try(body: Step[], catches: Caught[], place: Place): Step {
    const id = this.#simple.id();
    const inner = { ...place, depth: place.depth + 1 };
    const handled = catches.length > 0;
    return {
      op: 'try',
      id,
      body,
      catches,
      handler: handled && this.#random.chance(0.5) ? this.#block(inner, 1 + this.#random.upTo(2)) : [],
      rethrow: handled && this.#random.chance(0.2),
      last: this.#random.chance(0.4) ? this.#block({ ...inner, inLast: true }, 1 + this.#random.upTo(2)) : [],
    };
  }

  #caught(): Caught[] {
    const all: Caught[] = ['Cancelled', 'Timeout', 'Failure', 'Group'];
    if (this.#random.chance(0.25)) return ['Any'];
    return all.filter(() => this.#random.chance(0.4));
  }

  #timeout(id: number, place: Place): Step {
    const body = this.#body(place, { inTimeout: true });
    if (this.#random.chance(0.15)) body.unshift(this.#simple.reschedule());
    return { op: 'timeout', id, seconds: this.#simple.limit(), body };
  }

  #groupBody(place: Place): Step[] {
    const inner = { ...place, depth: place.depth + 1, inGroup: true };
    const steps: Step[] = [];
    for (let left = 1 + this.#random.upTo(3); left > 0; left--) {
      steps.push(this.#tasksLeft(inner) ? this.#spawnInGroup(inner) : this.#wait(inner));
    }
    return [...steps, ...this.#block(inner, this.#random.upTo(3))];
  }

  /** Mostly for a while, so that others wait. */
  #hold(id: number, place: Place): Step {
    const body = this.#body(place);
    if (this.#random.chance(0.6)) body.unshift(this.#simple.sleep());
    const what: Holdable = this.#random.chance(0.6)
      ? { kind: 'lock', index: this.#random.upTo(LOCKS) }
      : { kind: 'semaphore', index: this.#random.upTo(SEMAPHORES) };
    return { op: 'hold', id, what, limit: this.#random.chance(0.3) ? this.#simple.seconds() : null, body };
  }

  #underCondition(id: number, place: Place): Step {
    const index = this.#random.chance(0.7) ? 0 : this.#random.upTo(CONDITIONS);
    const inner = { ...place, depth: place.depth + 1 };
    const before = this.#random.chance(0.2) ? this.#block(inner, 1) : [];
    const after = this.#random.chance(0.4) ? this.#block(inner, 1) : [];
    const body = [...before, ...this.#onCondition(index), ...after];
    return { op: 'hold', id, what: { kind: 'condition', index }, limit: null, body };
  }

  #onCondition(index: number): Step[] {
    const id = this.#simple.id();
    const atLeast = 1 + this.#random.upTo(2);
    switch (this.#random.upTo(4)) {
      case 0:
        return [{ op: 'conditionWait', id, index }];
      case 1:
        return [{ op: 'conditionWaitFor', id, index, counter: this.#random.upTo(COUNTERS), atLeast }];
      case 2:
        return [this.#simple.sleep(), this.#simple.add(), { op: 'notifyAll', id, index }];
      default:
        return [
          this.#simple.sleep(),
          this.#simple.add(),
          { op: 'notify', id, index, count: 1 + this.#random.upTo(2) },
        ];
    }
  }

  #repeat(id: number, body: Step[]): Step {
    return { op: 'repeat', id, times: 2 + this.#random.upTo(2), body };
  }

  /** Fills or empties a queue. */
  #work(): Step[] {
    const index = this.#random.upTo(QUEUES);
    const id = this.#simple.id();
    const pause = this.#random.chance(0.5) ? [this.#simple.sleep()] : [];
    if (this.#random.chance(0.5)) {
      return [{ op: 'await', id, what: { kind: 'put', index, value: this.#random.upTo(100) } }, ...pause];
    }
    const taskDone: Step = { op: 'taskDone', id: this.#simple.id(), index };
    return [{ op: 'await', id, what: { kind: 'get', index } }, ...pause, taskDone];
  }

  // --- tasks ---

  #tasksLeft(place: Place): boolean {
    return this.#tasks < MAX_TASKS && this.#steps < MAX_STEPS && !(place.repeated && this.#distinct);
  }

  #spawn(place: Place): Call {
    return { op: 'spawn', id: this.#simple.id(), ...this.#newTask(place) };
  }

  #spawnInGroup(place: Place): Step {
    return { op: 'groupSpawn', id: this.#simple.id(), ...this.#newTask(place) };
  }

  #newTask(place: Place): { task: Reference; body: Step[] } {
    const task = this.#tasks++;
    const depth = Math.min(place.depth + 1, TASK_DEPTH);
    const inner = { ...place, task, depth, inTimeout: false, inLast: false };
    return { task: `T${task}`, body: this.#block(inner, 1 + this.#random.upTo(4)) };
  }

  /** A task that this one may wait for, or a future. It may not exist when the statement runs. */
  #reference(place: Place): Reference {
    const later = Math.max(this.#tasks - place.task - 1, 1);
    return this.#random.chance(0.7) ? `T${place.task + 1 + this.#random.upTo(later)}` : this.#simple.future();
  }

  /** Each once: asyncio's gather cancels a task that is given twice two times, as `uncancel()` shows. */
  #references(place: Place): Reference[] {
    return [...new Set(Array.from({ length: 1 + this.#random.upTo(3) }, () => this.#reference(place)))];
  }

  #anyTask(): Reference {
    return `T${this.#random.upTo(this.#tasks + 1)}`;
  }

  // --- statements that await once ---

  #wait(place: Place): Step {
    const id = this.#simple.id();
    switch (this.#random.upTo(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return this.#simple.sleep(id);
      case 5:
      case 6:
        return { op: 'await', id, what: this.#awaited(place) };
      case 7:
      case 8:
        return this.#waitFor(id, place);
      case 9:
        return { op: 'shield', id, reference: this.#reference(place) };
      case 10:
      case 11:
        return this.#gather(id, place);
      case 12:
        return this.#waitForSome(id, place);
      case 13:
        return this.#ofTasksOnly(id, place);
      default:
        return { op: 'timeout', id, seconds: this.#simple.limit(), body: [this.#wait(place)] };
    }
  }

  #awaited(place: Place): Awaited {
    switch (this.#random.upTo(7)) {
      case 0:
      case 1:
        return { kind: 'event', index: this.#random.upTo(EVENTS) };
      case 2:
        return { kind: 'get', index: this.#random.upTo(QUEUES) };
      case 3:
        return { kind: 'put', index: this.#random.upTo(QUEUES), value: this.#random.upTo(100) };
      case 4:
        return { kind: 'join', index: this.#random.upTo(QUEUES) };
      default:
        return { kind: 'reference', reference: this.#reference(place) };
    }
  }

  /** With no time at all only for a task or future: asyncio does not even begin a coroutine then. */
  #waitFor(id: number, place: Place): Step {
    const what = this.#awaited(place);
    if (what.kind === 'reference' && this.#random.chance(0.1)) return { op: 'waitFor', id, what, seconds: 0 };
    return { op: 'waitFor', id, what, seconds: this.#random.chance(0.1) ? null : this.#simple.seconds() };
  }

  #gather(id: number, place: Place): Step {
    const returnExceptions = this.#random.chance(0.5);
    return { op: 'gather', id, references: this.#references(place), returnExceptions };
  }

  #waitForSome(id: number, place: Place): Step {
    if (this.#random.chance(0.4)) {
      const seconds = this.#random.chance(0.5) ? this.#simple.seconds() : null;
      return { op: 'asCompleted', id, references: this.#references(place), seconds };
    }
    const until = this.#random.one<Until>(['ALL_COMPLETED', 'FIRST_COMPLETED', 'FIRST_EXCEPTION']);
    const seconds = this.#random.chance(0.6) ? this.#simple.seconds() : null;
    return { op: 'wait', id, references: this.#references(place), seconds, until };
  }

  #ofTasksOnly(id: number, place: Place): Step {
    switch (this.#random.upTo(6)) {
      case 0:
        return { op: 'cancelSelf', id };
      case 1:
        return { op: 'uncancel', id };
      case 2:
        return place.inLast ? { op: 'uncancel', id } : { op: 'return', id, value: this.#random.upTo(100) };
      case 3:
        return place.inTimeout ? this.#simple.reschedule() : this.#simple.sleep(id);
      default:
        return place.inGroup && this.#tasksLeft(place) ? this.#spawnInGroup(place) : this.#simple.sleep(id);
    }
  }

  // --- statements that do not await ---

  #call(place: Place): Call {
    const id = this.#simple.id();
    switch (this.#random.upTo(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return {
          op: 'cancel',
          id,
          task: this.#random.chance(0.85) ? this.#anyTask() : this.#simple.future(),
        };
      case 4:
      case 5:
        return this.#random.chance(0.7)
          ? this.#simple.setEvent(id)
          : { ...this.#simple.setEvent(id), op: 'clearEvent' };
      case 6:
        return this.#simple.setFuture(this.#simple.future());
      case 7:
      case 8:
        return { op: 'putNowait', id, index: this.#random.upTo(QUEUES), value: this.#random.upTo(100) };
      case 9:
        return { op: 'getNowait', id, index: this.#random.upTo(QUEUES) };
      case 10:
        return this.#simple.rare(id);
      case 11:
        return this.#simple.add(id);
      case 12:
        return this.#simple.raise(id);
      case 13:
        return this.#tasksLeft(place) ? this.#spawn(place) : this.#simple.setEvent(id);
      case 14:
      case 15:
        return this.#callSoon(id, place);
      case 16:
      case 17:
        return place.repeated && this.#distinct ? this.#callSoon(id, place) : this.#callLater(id, place);
      case 18:
        return { op: 'onDone', id, reference: this.#reference(place), calls: this.#callback(place) };
      default:
        if (this.#calls.length === 0) return this.#simple.add(id);
        return { op: 'cancelCall', id, call: this.#random.one(this.#calls) };
    }
  }

  #callSoon(id: number, place: Place): Call {
    this.#calls.push(id);
    return { op: 'callSoon', id, calls: this.#callback(place) };
  }

  /** The delay is zero in places, if deadlines may coincide. */
  #callLater(id: number, place: Place): Call {
    this.#calls.push(id);
    const seconds = this.#distinct ? this.#simple.seconds() : this.#random.upTo(4);
    return { op: 'callLater', id, seconds, calls: this.#callback(place) };
  }

  #callback(place: Place): Call[] {
    const inner = { ...place, depth: place.depth + 1 };
    if (inner.depth >= MAX_DEPTH) return [{ op: 'cancel', id: this.#simple.id(), task: this.#anyTask() }];
    const calls: Call[] = [];
    for (let left = 1 + this.#random.upTo(2); left > 0; left--) {
      this.#steps++;
      calls.push(this.#call(inner));
    }
    return calls;
  }
}
