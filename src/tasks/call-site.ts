/**
 * The place in the program that asked for an operation. The system answers later, when that code is no longer
 * on the stack, so the error of a failed connect would show the library only.
 *
 * To capture a stack takes a few microseconds. So it is done for operations that open something, and in debug
 * mode for every future (loop/creation.ts), but not for a read, a sleep or a call in an executor.
 */
import { currentEntry } from '../loop/context.ts';
import { originOf } from '../loop/creation.ts';

/** The stack of a call. The engine makes its text when somebody asks for it. */
export class CallSite {
  declare readonly stack?: unknown;

  /** @param below the function whose caller is the first entry of the stack */
  constructor(below: (...args: never[]) => unknown) {
    Error.captureStackTrace(this, below as () => void);
  }
}

/** Returns the place of the call, or null inside an operation that knows its own place. */
export function callSite(below: (...args: never[]) => unknown): CallSite | null {
  const around = currentEntry()?._flow as { _site?: CallSite | null } | null | undefined;
  return around?._site ? null : new CallSite(below);
}

/** Returns the stack of a place as text. */
export function siteText(site: CallSite | null): string | null {
  return typeof site?.stack === 'string' ? site.stack : null;
}

/** In debug mode, appends the place where a future was created to the stack of its error. */
export function addOrigin(error: unknown, future: object): void {
  const origin = originOf(future);
  if (origin !== null) addCallSite(error, { stack: `\n${origin}` });
}

const told: WeakSet<object> = new WeakSet();

/** Appends the place to the stack of an error, once: as V8 does for the callers of an async function. */
export function addCallSite(error: unknown, site: CallSite | null): void {
  if (site === null || typeof error !== 'object' || error === null || told.has(error)) return;
  const { stack } = error as { stack?: unknown };
  // `Error.prepareStackTrace` of the program may return any value.
  if (typeof stack !== 'string' || typeof site.stack !== 'string') return;
  told.add(error);
  const frames = site.stack.replace(/^[^\n]*\n/, '').replace('    at ', '    at async ');
  try {
    (error as { stack: string }).stack = `${stack}\n${frames}`;
  } catch {
    // The error is frozen.
  }
}
