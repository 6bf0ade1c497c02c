/**
 * An `AbortSignal` that knows whether an operation listens to it.
 *
 * If a pending operation has a scope's signal, it throws the cancel into the flow when the signal aborts. The
 * scope must not throw the cancel a second time.
 */
import type { CancelledError } from '../base/errors.ts';

export class ListenedSignal {
  readonly #controller: AbortController = new AbortController();
  readonly #listeners: Set<unknown> = new Set();

  /**
   * @param onTaken called when the flow reads the reason after the abort: it is about to throw the reason
   *   itself
   */
  constructor(onTaken: () => void) {
    // Patch the signal object itself: Node, undici and others accept only a signal of the host.
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

  /** Aborts the signal, once. Returns true if an operation listened. */
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
 * Node and Deno store the signals and operations that depend on a signal (`AbortSignal.any()`) under these
 * symbols. There is no public way to ask.
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
