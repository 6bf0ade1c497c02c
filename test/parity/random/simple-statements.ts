/** The statements of a random program that hold no others, as far as a seed decides them alone. */
import type { Call, Family, Reference, Step } from './program.ts';
import { CONDITIONS, COUNTERS, EVENTS, FUTURES, LOCKS, QUEUES, SEMAPHORES } from './program.ts';
import type { Random } from './seeded.ts';

export class SimpleStatements {
  readonly #random: Random;
  readonly #distinct: boolean;
  readonly #durations: Set<number> = new Set();
  #ids: number = 0;
  #errors: number = 0;

  constructor(random: Random, family: Family) {
    this.#random = random;
    this.#distinct = family === 'distinct';
  }

  /** The number of the next statement. */
  id(): number {
    return ++this.#ids;
  }

  /** Never zero. */
  seconds(): number {
    if (!this.#distinct) return 1 + this.#random.upTo(3);
    let seconds = 1 + this.#random.upTo(1_000_000);
    while (this.#durations.has(seconds)) seconds++;
    this.#durations.add(seconds);
    return seconds;
  }

  /** The time of a `timeout` block. */
  limit(): number {
    return !this.#distinct && this.#random.chance(0.05) ? 0 : this.seconds();
  }

  future(): Reference {
    return `F${this.#random.upTo(FUTURES)}`;
  }

  sleep(id: number = this.id()): Step {
    return { op: 'sleep', id, seconds: this.#random.chance(0.2) ? 0 : this.seconds() };
  }

  reschedule(): Step {
    return { op: 'reschedule', id: this.id(), seconds: this.#random.chance(0.2) ? null : this.limit() };
  }

  add(id: number = this.id()): Call {
    return { op: 'add', id, index: this.#random.upTo(COUNTERS) };
  }

  setEvent(id: number): Extract<Call, { op: 'setEvent' | 'clearEvent' }> {
    return { op: 'setEvent', id, index: this.#random.upTo(EVENTS) };
  }

  raise(id: number): Call {
    return { op: 'raise', id, error: this.#error() };
  }

  setFuture(future: Reference): Call {
    return this.#random.chance(0.7)
      ? { op: 'setResult', id: this.id(), future, value: this.#random.upTo(100) }
      : { op: 'setException', id: this.id(), future, error: this.#error() };
  }

  /** A call that is often a mistake. */
  rare(id: number): Call {
    switch (this.#random.upTo(5)) {
      case 0:
        return { op: 'shutdown', id, index: this.#random.upTo(QUEUES), immediate: this.#random.chance(0.5) };
      case 1:
        return { op: 'releaseLock', id, index: this.#random.upTo(LOCKS) };
      case 2:
        return { op: 'notify', id, index: this.#random.upTo(CONDITIONS), count: 1 };
      case 3:
        return { op: 'taskDone', id, index: this.#random.upTo(QUEUES) };
      default:
        return { op: 'releaseSemaphore', id, index: this.#random.upTo(SEMAPHORES) };
    }
  }

  #error(): string {
    return `E${this.#errors++}`;
  }
}
