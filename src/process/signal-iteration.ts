/** `loop.signals`: signals by iteration. */
import type { RawRequest } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import { checkOptions, checkSignal, invalidArgType } from '../base/validate.ts';
import type { Unreported } from '../loop/ownership.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { ArrivalsOwner } from '../net/arrivals.ts';
import { Arrivals } from '../net/arrivals.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { handleSignal, signalNumber } from './signal-number.ts';

/** The handlers of one iteration. They end with the loop and are not a leak. */
export class SignalIteration implements Unreported, ArrivalsOwner<string> {
  readonly signums: ReadonlySet<number>;
  readonly arrivals: Arrivals<string>;
  readonly #loop: Loop;
  /** The signals that have come and were not taken yet. A second one of the same kind changes nothing. */
  readonly #pending: Set<string> = new Set();
  readonly #requests: RawRequest[] = [];

  constructor(loop: Loop, signums: ReadonlySet<number>, options: SignalOptions) {
    if (loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
    this.#loop = loop;
    this.signums = signums;
    this.arrivals = new Arrivals(this, options);
    for (const signum of signums) {
      const name = nameOf(loop, signum);
      this.#requests.push(handleSignal(loop, 'signums', signum, () => this.#arrived(name)));
    }
    loop._owned.unreported.add(this);
  }

  #arrived(name: string): void {
    if (this.#pending.has(name)) return;
    this.#pending.add(name);
    this.arrivals.push(name);
  }

  /** @internal */
  _taken(name: string): void {
    this.#pending.delete(name);
  }

  /** @internal */
  _left(): void {
    this.#loop._owned.unreported.delete(this);
    this._forceClose();
  }

  /** @internal */
  _forceClose(): void {
    for (const request of this.#requests.splice(0)) request.cancel();
  }
}

/** See `BaseEventLoop.signals`. */
export function iterateSignals(loop: Loop, given: readonly unknown[]): AsyncIterable<string> {
  const last = given.at(-1);
  const hasOptions = typeof last === 'object' && last !== null;
  const options = hasOptions ? (last as SignalOptions) : {};
  checkOptions('options', options, ['signal']);
  checkSignal('options.signal', options.signal);
  const names = hasOptions ? given.slice(0, -1) : given;
  if (names.length === 0) throw invalidArgType('signums', undefined, 'the names or numbers of signals');
  checkSupports(loop, 'signals');
  const signums = new Set(names.map((name) => signalNumber(loop, 'signums', name)));
  // Throw now, not when the iteration begins, if a signal cannot be handled.
  for (const signum of signums) handleSignal(loop, 'signums', signum, () => {}).cancel();
  return { [Symbol.asyncIterator]: () => new SignalIteration(loop, signums, options).arrivals };
}

/** The first name of a number: SIGABRT, not SIGIOT. */
function nameOf(loop: Loop, signum: number): string {
  const entries = Object.entries(loop._backend.signals?.numbers ?? {});
  return entries.find(([, number]) => number === signum)?.[0] ?? String(signum);
}
