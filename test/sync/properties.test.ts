import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Future } from '../../src/index.ts';
import {
  Barrier,
  BrokenBarrierError,
  Condition,
  Event,
  getRunningLoop,
  Lock,
  Queue,
  QueueShutDown,
  Semaphore,
} from '../../src/index.ts';
import { turns } from '../helpers/simulation.ts';

import type { Actor, Play } from './schedules.ts';
import { Actors, anyCommand, checkSchedules, rest, someActor } from './schedules.ts';

const eager = fc.boolean();
const { turn, cancel, abort } = anyCommand;

// --- Lock and Semaphore: a number of permits, first come, first served ---

interface Visitor extends Actor {
  where: 'outside' | 'asking' | 'inside' | 'gone';
  guard: Disposable | null;
  readonly leave: Future<void>;
}

type VisitorCommand =
  | { do: 'turn' }
  | { do: 'cancel' | 'abort' | 'leave'; actor: number }
  | { do: 'come'; eager: boolean };

const visitorCommands: fc.Arbitrary<VisitorCommand> = fc.oneof(
  turn,
  cancel,
  abort,
  fc.record({ do: fc.constant('leave' as const), actor: someActor }),
  { arbitrary: fc.record({ do: fc.constant('come' as const), eager }), weight: 2 },
);

class Room implements Play<VisitorCommand> {
  readonly #door: Lock | Semaphore;
  readonly #permits: number;
  readonly #visitors: Actors<Visitor> = new Actors();
  readonly #asked: Visitor[] = [];

  constructor(door: Lock | Semaphore, permits: number) {
    this.#door = door;
    this.#permits = permits;
  }

  take(command: VisitorCommand): void {
    if (command.do === 'come') {
      const more = { where: 'outside', guard: null, leave: getRunningLoop().createFuture<void>() } as const;
      this.#visitors.start(more, command.eager, (visitor) => this.#visit(visitor));
    } else if (command.do === 'leave') {
      const staying = ({ where, leave }: Visitor): boolean => where === 'inside' && !leave.done();
      const visitor = this.#visitors.pick(command.actor, staying);
      if (visitor === undefined) return;
      visitor.where = 'gone';
      // Disposes now, so that the next step finds a woken waiter. The end of its block disposes once more.
      visitor.guard?.[Symbol.dispose]();
      visitor.leave.setResult();
    } else if (command.do === 'cancel') {
      this.#visitors.cancel(command.actor, ({ where }) => where === 'asking');
    } else if (command.do === 'abort') {
      this.#visitors.abort(command.actor, ({ where }) => where === 'asking');
    }
  }

  always(): void {
    const inside = this.#count('inside');
    assert.ok(inside <= this.#permits, 'too many inside');
    if (inside === this.#permits) assert.ok(this.#door.locked(), 'all permits are taken');
  }

  atRest(): void {
    this.#visitors.noneStoppedThat(({ where }) => where === 'asking');
    const inside = this.#count('inside');
    if (this.#count('asking') > 0)
      assert.equal(inside, this.#permits, 'somebody sleeps while a permit is free');
    assert.equal(this.#door.locked(), inside === this.#permits);
  }

  async finish(): Promise<void> {
    const waiting = this.#visitors.all.filter(({ stopped }) => !stopped);
    for (const visitor of this.#visitors.all) if (!visitor.leave.done()) visitor.leave.setResult();
    await this.#visitors.end();
    assert.ok(
      waiting.every(({ task }) => !task.cancelled()),
      'who was not stopped got in',
    );
    for (let i = 0; i < this.#permits; i++) assert.ok(this.#door.acquire().done(), 'all permits are back');
    assert.ok(this.#door.locked(), 'and not one more');
  }

  async #visit(visitor: Visitor): Promise<void> {
    visitor.where = 'asking';
    this.#asked.push(visitor);
    try {
      using guard = await this.#door.acquire({ signal: visitor.controller.signal });
      visitor.guard = guard;
      visitor.where = 'inside';
      this.always();
      const before = this.#asked.slice(0, this.#asked.indexOf(visitor));
      assert.ok(
        before.every(({ where, stopped }) => where !== 'asking' || stopped),
        'somebody was overtaken',
      );
      await visitor.leave;
    } finally {
      visitor.where = 'gone';
    }
  }

  #count(where: Visitor['where']): number {
    return this.#visitors.all.filter((visitor) => visitor.where === where).length;
  }
}

test('Lock has one holder at a time, in order, and no waiter sleeps while it is free, for any schedule', () =>
  checkSchedules(visitorCommands, () => new Room(new Lock(), 1)));

for (const permits of [1, 2, 3]) {
  test(`Semaphore of ${permits} neither loses nor creates permits and keeps their order, for any schedule`, () =>
    checkSchedules(visitorCommands, () => new Room(new Semaphore(permits), permits)));
}

// --- Event: a waiter continues when the event is set ---

interface Watcher extends Actor {
  waits: boolean;
  /** The event was set while this actor waited. */
  due: boolean;
  passed: boolean;
}

type EventCommand =
  | { do: 'turn' | 'set' | 'clear' }
  | { do: 'cancel' | 'abort'; actor: number }
  | { do: 'watch'; eager: boolean };

const eventCommands: fc.Arbitrary<EventCommand> = fc.oneof(
  turn,
  cancel,
  abort,
  fc.record({ do: fc.constantFrom('set' as const, 'clear' as const) }),
  fc.record({ do: fc.constant('watch' as const), eager }),
);

class Watch implements Play<EventCommand> {
  readonly #event: Event = new Event();
  readonly #watchers: Actors<Watcher> = new Actors();
  #set: boolean = false;

  take(command: EventCommand): void {
    if (command.do === 'set') {
      this.#event.set();
      this.#set = true;
      for (const watcher of this.#watchers.all) if (watcher.waits) watcher.due = true;
    } else if (command.do === 'clear') {
      this.#event.clear();
      this.#set = false;
    } else if (command.do === 'watch') {
      const more = { waits: false, due: false, passed: false };
      this.#watchers.start(more, command.eager, (watcher) => this.#watch(watcher));
    } else if (command.do === 'cancel') {
      this.#watchers.cancel(command.actor, ({ waits }) => waits);
    } else if (command.do === 'abort') {
      this.#watchers.abort(command.actor, ({ waits }) => waits);
    }
  }

  always(): void {
    assert.equal(this.#event.isSet(), this.#set);
  }

  atRest(): void {
    this.#watchers.noneStoppedThat(({ waits }) => waits);
    for (const { waits, due, passed, stopped } of this.#watchers.all) {
      if (stopped) continue;
      assert.equal(passed, due, 'passes exactly when it was set meanwhile, or before');
      if (this.#set) assert.ok(!waits, 'nobody waits for what is set');
    }
  }

  async finish(): Promise<void> {
    this.take({ do: 'set' });
    await this.#watchers.end();
    assert.ok(this.#watchers.all.every(({ passed, stopped }) => passed || stopped));
  }

  async #watch(watcher: Watcher): Promise<void> {
    watcher.due = this.#set;
    watcher.waits = true;
    try {
      assert.equal(await this.#event.wait({ signal: watcher.controller.signal }), true);
      assert.ok(watcher.due, 'passed although it was not set');
      watcher.passed = true;
    } finally {
      watcher.waits = false;
    }
  }
}

test('Event lets a waiter continue exactly when it is set, for any schedule', () =>
  checkSchedules(eventCommands, () => new Watch()));

// --- Condition: tokens, each with one notification ---

interface Client extends Actor {
  where: 'outside' | 'asking' | 'inside' | 'sleeping' | 'gone';
  got: boolean;
}

type ConditionCommand =
  | { do: 'turn' }
  | { do: 'cancel' | 'abort'; actor: number }
  | { do: 'take'; eager: boolean; plain: boolean }
  | { do: 'give'; eager: boolean; tokens: number; slow: boolean };

const conditionCommands: fc.Arbitrary<ConditionCommand> = fc.oneof(
  turn,
  { arbitrary: cancel, weight: 2 },
  abort,
  { arbitrary: fc.record({ do: fc.constant('take' as const), eager, plain: fc.boolean() }), weight: 3 },
  {
    arbitrary: fc.record({
      do: fc.constant('give' as const),
      eager,
      tokens: fc.integer({ min: 1, max: 3 }),
      slow: fc.boolean(),
    }),
    weight: 2,
  },
);

class Market implements Play<ConditionCommand> {
  readonly #condition: Condition = new Condition();
  readonly #clients: Actors<Client> = new Actors();
  #tokens: number = 0;
  #given: number = 0;

  take(command: ConditionCommand): void {
    const more = { where: 'outside', got: false } as const;
    if (command.do === 'take') {
      this.#clients.start(more, command.eager, (client) => this.#takeOne(client, command.plain));
    } else if (command.do === 'give') {
      this.#clients.start(more, command.eager, (client) => this.#give(client, command.tokens, command.slow));
    } else if (command.do === 'cancel') {
      this.#clients.cancel(command.actor, ({ where }) => where === 'asking' || where === 'sleeping');
    } else if (command.do === 'abort') {
      this.#clients.abort(command.actor, ({ where }) => where === 'asking' || where === 'sleeping');
    }
  }

  always(): void {
    const inside = this.#count('inside');
    assert.ok(inside <= 1, 'two have the lock');
    if (inside === 1) assert.ok(this.#condition.locked());
    const got = this.#clients.all.filter((client) => client.got).length;
    assert.equal(got + this.#tokens, this.#given, 'a token was lost or made');
  }

  atRest(): void {
    this.#clients.noneStoppedThat(({ where }) => where === 'asking' || where === 'sleeping');
    assert.equal(this.#condition.locked(), false, 'nobody keeps the lock');
    assert.equal(this.#count('asking'), 0, 'somebody waits for a free lock');
    if (this.#tokens > 0) assert.equal(this.#count('sleeping'), 0, 'a notification was lost');
  }

  async finish(): Promise<void> {
    for (const { task } of this.#clients.all) task.cancel();
    await rest();
    await this.#clients.end();
    assert.equal(this.#condition.locked(), false);
  }

  async #takeOne(client: Client, plain: boolean): Promise<void> {
    const signal = client.controller.signal;
    try {
      client.where = 'asking';
      using _ = await this.#condition.acquire({ signal });
      this.#enter(client);
      const enough = (): boolean => {
        assert.ok(this.#condition.locked(), 'asked without the lock');
        return this.#tokens > 0;
      };
      try {
        client.where = 'sleeping';
        if (plain) while (!enough()) await this.#condition.wait({ signal });
        else await this.#condition.waitFor(enough, { signal });
      } finally {
        this.#enter(client);
      }
      this.#tokens--;
      client.got = true;
    } finally {
      client.where = 'gone';
    }
  }

  async #give(client: Client, tokens: number, slow: boolean): Promise<void> {
    try {
      client.where = 'asking';
      using _ = await this.#condition.acquire({ signal: client.controller.signal });
      this.#enter(client);
      this.#tokens += tokens;
      this.#given += tokens;
      this.#condition.notify(tokens);
      // The notified waiters have to wait for the lock.
      if (slow) await turns(2);
    } finally {
      client.where = 'gone';
    }
  }

  #enter(client: Client): void {
    client.where = 'inside';
    this.always();
  }

  #count(where: Client['where']): number {
    return this.#clients.all.filter((client) => client.where === where).length;
  }
}

test('Condition has one holder of the lock, returns from each wait with it, and loses no notification, for any schedule', () =>
  checkSchedules(conditionCommands, () => new Market()));

// --- Queue: every item is got once, or is still in the queue ---

interface Porter extends Actor {
  readonly item: number | null;
  waits: 'no' | 'to put' | 'to get';
}

type QueueCommand =
  | { do: 'turn' | 'putNowait' | 'getNowait' | 'join' }
  | { do: 'cancel' | 'abort'; actor: number }
  | { do: 'put' | 'get'; eager: boolean }
  | { do: 'shutdown'; immediate: boolean };

const queueCommands = (withEnd: boolean): fc.Arbitrary<QueueCommand> =>
  fc.oneof(
    turn,
    cancel,
    abort,
    fc.record({ do: fc.constantFrom('putNowait' as const, 'getNowait' as const, 'join' as const) }),
    { arbitrary: fc.record({ do: fc.constantFrom('put' as const, 'get' as const), eager }), weight: 4 },
    {
      arbitrary: fc.record({ do: fc.constant('shutdown' as const), immediate: fc.boolean() }),
      weight: withEnd ? 1 : 0,
    },
  );

class Store implements Play<QueueCommand> {
  readonly #queue: Queue<number>;
  readonly #porters: Actors<Porter> = new Actors();
  readonly #put: Set<number> = new Set();
  readonly #got: number[] = [];
  readonly #joined: Future<void>[] = [];
  readonly #failures: string[] = [];
  /** The actors that had to wait, in the order in which they began to wait. */
  readonly #putters: Porter[] = [];
  readonly #getters: Porter[] = [];
  #nextItem: number = 0;
  #shutDown: boolean = false;
  #dropped: number = 0;

  constructor(maxsize: number) {
    this.#queue = new Queue(maxsize);
  }

  take(command: QueueCommand): void {
    const queue = this.#queue;
    if (command.do === 'put') {
      const more = { item: this.#nextItem++, waits: 'no' } as const;
      this.#porters.start(more, command.eager, (porter) => this.#bring(porter));
    } else if (command.do === 'get') {
      this.#porters.start({ item: null, waits: 'no' }, command.eager, (porter) => this.#fetch(porter));
    } else if (command.do === 'putNowait') {
      if (queue.full() || this.#shutDown) return;
      queue.putNowait(this.#nextItem);
      this.#put.add(this.#nextItem++);
    } else if (command.do === 'getNowait') {
      if (!queue.empty()) this.#have(queue.getNowait());
    } else if (command.do === 'join') {
      this.#join();
    } else if (command.do === 'shutdown') {
      if (command.immediate) this.#dropped += queue.qsize();
      this.#shutDown = true;
      queue.shutdown(command.immediate);
    } else if (command.do === 'cancel') {
      this.#porters.cancel(command.actor, ({ waits }) => waits !== 'no');
    } else if (command.do === 'abort') {
      this.#porters.abort(command.actor, ({ waits }) => waits !== 'no');
    }
  }

  always(): void {
    if (this.#queue.maxsize > 0) assert.ok(this.#queue.qsize() <= this.#queue.maxsize, 'more than its limit');
    assert.equal(new Set(this.#got).size, this.#got.length, 'an item came twice');
  }

  atRest(): void {
    this.#porters.noneStoppedThat(({ waits }) => waits !== 'no');
    const queue = this.#queue;
    const putters = this.#waiting('to put');
    const getters = this.#waiting('to get');
    if (!queue.empty()) assert.equal(getters, 0, 'somebody waits for an item that is there');
    if (!queue.full()) assert.equal(putters, 0, 'somebody waits for a slot that is free');
    if (this.#shutDown) assert.equal(putters + getters, 0, 'somebody waits for a queue that was shut down');
    assert.equal(
      this.#got.length + this.#dropped + queue.qsize(),
      this.#put.size,
      'an item was lost or made',
    );
    assert.ok(
      this.#got.every((item) => this.#put.has(item)),
      'an item came that nobody put: its put() was cancelled',
    );
    assert.deepEqual(this.#failures, []);
    if (queue.empty()) {
      assert.ok(
        this.#joined.every((future) => future.done()),
        'all is done, and a join() waits on',
      );
    }
  }

  async finish(): Promise<void> {
    while (!this.#queue.empty() || this.#waiting('to put') > 0) {
      if (this.#queue.empty()) await turns();
      else this.#have(this.#queue.getNowait());
    }
    this.atRest();
    this.take({ do: 'shutdown', immediate: false });
    await this.#porters.end();
    for (const future of this.#joined) await future;
    assert.throws(() => this.#queue.taskDone());
  }

  async #bring(porter: Porter): Promise<void> {
    const item = porter.item as number;
    const done = this.#queue.put(item, { signal: porter.controller.signal });
    await this.#await(porter, done, 'to put', this.#putters, () => this.#put.add(item));
  }

  async #fetch(porter: Porter): Promise<void> {
    const done = this.#queue.get({ signal: porter.controller.signal });
    await this.#await(porter, done, 'to get', this.#getters, (item) => this.#have(item));
  }

  async #await<T>(
    porter: Porter,
    done: Future<T>,
    waits: Porter['waits'],
    line: Porter[],
    use: (value: T) => void,
  ): Promise<void> {
    const waited = !done.done();
    if (waited) {
      porter.waits = waits;
      line.push(porter);
    }
    try {
      use(await done);
      if (waited) this.#checkTurn(porter, line);
    } catch (error) {
      if (!(error instanceof QueueShutDown)) throw error;
      assert.ok(this.#shutDown, 'nobody has shut it down');
    } finally {
      porter.waits = 'no';
    }
  }

  /** join() may not end before all items are done that were in the queue when it began. */
  #join(): void {
    const before = this.#got.length + this.#dropped;
    const inside = this.#queue.qsize();
    const joined = this.#queue.join();
    this.#joined.push(joined);
    joined.addDoneCallback(() => {
      const since = this.#got.length + this.#dropped - before;
      if (since < inside) this.#failures.push(`join() ended after ${since} of ${inside} items`);
    });
  }

  #have(item: number): void {
    this.#got.push(item);
    this.#queue.taskDone();
  }

  /** Every actor that began to wait earlier has been served or stopped. */
  #checkTurn(porter: Porter, line: Porter[]): void {
    const before = line.slice(0, line.indexOf(porter));
    assert.ok(
      before.every(({ waits, stopped }) => waits === 'no' || stopped),
      'somebody was overtaken in the line',
    );
  }

  #waiting(what: Porter['waits']): number {
    return this.#porters.all.filter(({ waits }) => waits === what).length;
  }
}

for (const maxsize of [0, 1, 2]) {
  for (const withEnd of [false, true]) {
    const what = `Queue ${maxsize === 0 ? 'without a limit' : `of ${maxsize}`}${withEnd ? ' that is shut down' : ''}`;
    test(`${what} hands out each item once or keeps it, and no task sleeps without need, for any schedule`, () =>
      checkSchedules(queueCommands(withEnd), () => new Store(maxsize)));
  }
}

// --- Barrier: rounds ---

interface Runner extends Actor {
  waits: boolean;
  ended: number | 'broken' | 'stopped' | null;
}

type BarrierCommand =
  | { do: 'turn' | 'reset' | 'abort barrier' }
  | { do: 'cancel' | 'abort'; actor: number }
  | { do: 'come'; eager: boolean };

const barrierCommands = (withErrors: boolean): fc.Arbitrary<BarrierCommand> =>
  fc.oneof(
    turn,
    cancel,
    abort,
    { arbitrary: fc.record({ do: fc.constant('come' as const), eager }), weight: 5 },
    {
      arbitrary: fc.record({ do: fc.constantFrom('reset' as const, 'abort barrier' as const) }),
      weight: withErrors ? 1 : 0,
    },
  );

class Race implements Play<BarrierCommand> {
  readonly #barrier: Barrier;
  readonly #runners: Actors<Runner> = new Actors();
  #broken: boolean = false;
  #everBroken: boolean = false;

  constructor(parties: number) {
    this.#barrier = new Barrier(parties);
  }

  take(command: BarrierCommand): void {
    if (command.do === 'come') {
      this.#runners.start({ waits: false, ended: null }, command.eager, (runner) => this.#run(runner));
    } else if (command.do === 'reset') {
      void this.#barrier.reset();
      this.#broken = false;
      this.#everBroken = true;
    } else if (command.do === 'abort barrier') {
      void this.#barrier.abort();
      this.#broken = true;
      this.#everBroken = true;
    } else if (command.do === 'cancel') {
      this.#runners.cancel(command.actor, ({ waits }) => waits);
    } else if (command.do === 'abort') {
      this.#runners.abort(command.actor, ({ waits }) => waits);
    }
  }

  always(): void {
    const { nWaiting, parties, broken } = this.#barrier;
    assert.ok(nWaiting < parties);
    assert.equal(broken, this.#broken);
  }

  atRest(): void {
    this.#runners.noneStoppedThat(({ waits }) => waits);
    const waiting = this.#runners.all.filter(({ waits }) => waits).length;
    assert.equal(this.#barrier.nWaiting, waiting, 'who waits is inside, and no round is full');
    if (this.#broken) assert.equal(waiting, 0, 'nobody waits at a broken barrier');
    const results = this.#runners.all.map(({ ended }) => ended).filter((ended) => typeof ended === 'number');
    const rounds = results.filter((index) => index === this.#barrier.parties - 1).length;
    const stopped = this.#runners.all.some((runner) => runner.stopped);
    for (let index = 0; index < this.#barrier.parties; index++) {
      const count = results.filter((result) => result === index).length;
      // A released actor may be stopped, or ended by a reset, before it runs. No actor comes twice.
      if (stopped || this.#everBroken) assert.ok(count <= this.#runners.all.length);
      else assert.equal(count, rounds, `index ${index} comes once a round`);
    }
  }

  async finish(): Promise<void> {
    for (const { task } of this.#runners.all) task.cancel();
    await this.#runners.end();
    await this.#barrier.reset();
    this.#broken = false;
    const last = this.#barrier.parties - 1;
    const round = Array.from({ length: last + 1 }, () => this.#barrier.wait());
    assert.ok(round[last]?.done(), 'a fresh round needs exactly its parties');
    for (let i = 0; i <= last; i++) assert.equal(await round[i], i);
  }

  async #run(runner: Runner): Promise<void> {
    runner.waits = true;
    try {
      runner.ended = await this.#barrier.wait({ signal: runner.controller.signal });
    } catch (error) {
      runner.ended = error instanceof BrokenBarrierError ? 'broken' : 'stopped';
      if (runner.ended === 'stopped') throw error;
      assert.ok(this.#everBroken, 'broken, and nobody broke it');
    } finally {
      runner.waits = false;
    }
  }
}

for (const parties of [1, 2, 3]) {
  for (const withErrors of [false, true]) {
    test(`Barrier of ${parties}${withErrors ? ' that is reset and aborted' : ''} has full rounds and holds every waiter, for any schedule`, () =>
      checkSchedules(barrierCommands(withErrors), () => new Race(parties)));
  }
}
