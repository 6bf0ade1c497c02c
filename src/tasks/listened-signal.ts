/**
 * An `AbortSignal` that knows whether an operation uses it.
 *
 * An operation that was given the signal of a scope, and is under way when that aborts, throws the cancel
 * into the flow. The scope must not throw it a second time.
 */
import type { CancelledError } from '../base/errors.ts';

export class ListenedSignal {
  readonly #controller: AbortController = new AbortController();
  readonly #listeners: Set<unknown> = new Set();

  /**
   * @param onTaken called when the flow looks at the reason by itself after the abort: it is about to throw
   *   it
   */
  constructor(onTaken: () => void) {
    // On the signal itself: Node, undici and others take only a signal of the host's.
    const { signal } = this;
    const { prototype } = AbortSignal;
    const reason = Object.getOwnPropertyDescriptor(prototype, 'reason')?.get as () => unknown;
    const taken = (): void => {
      if (signal.aborted) onTaken();
    };
    Object.defineProperties(signal, {
      addEventListener: hidden((...args: Parameters<EventTarget['addEventListener']>): void => {
        if (args[0] === 'abort') this.#listeners.add(args[1]);
        prototype.addEventListener.apply(signal, args);
      }),
      removeEventListener: hidden((...args: Parameters<EventTarget['removeEventListener']>): void => {
        if (args[0] === 'abort') this.#listeners.delete(args[1]);
        prototype.removeEventListener.apply(signal, args);
      }),
      throwIfAborted: hidden((): void => {
        taken();
        prototype.throwIfAborted.call(signal);
      }),
      reason: {
        configurable: true,
        get: (): unknown => {
          taken();
          return reason.call(signal);
        },
      },
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts it, once. Answers whether an operation listened. */
  abort(reason: CancelledError): boolean {
    const { signal } = this;
    if (signal.aborted) return false;
    const listened = this.#listeners.size > 0 || signal.onabort != null || hasDependants(signal);
    this.#listeners.clear();
    this.#controller.abort(reason);
    return listened;
  }
}

function hidden(value: unknown): PropertyDescriptor {
  return { configurable: true, writable: true, value };
}

/**
 * Node and Deno keep under symbols what `AbortSignal.any()` and their own operations made of a signal.
 * Nothing public tells.
 */
const DEPENDANTS: ReadonlySet<string | undefined> = new Set([
  'kDependantSignals',
  '[[dependentSignals]]',
  '[[abortAlgos]]',
]);

function hasDependants(signal: AbortSignal): boolean {
  return Object.getOwnPropertySymbols(signal).some((symbol) => {
    if (!DEPENDANTS.has(symbol.description)) return false;
    const dependants = (signal as unknown as Record<symbol, { size?: number } | null | undefined>)[symbol];
    return (dependants?.size ?? 0) > 0;
  });
}
