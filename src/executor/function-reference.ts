/** Functions that are passed to a worker by module and name. */
import { LoopError } from '../base/errors.ts';
import { checkFunction, invalidArgType } from '../base/validate.ts';
import { shipSource } from './function-source.ts';
import type { ShippedFunction } from './job-messages.ts';

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

/** The functions among a module's exports. */
export type ImportedFunctions<M extends object> = {
  readonly [K in keyof M as M[K] extends AnyFunction ? K : never]: M[K];
};

/** Module and name of a function: see {@link referenceOf}. */
export interface FunctionReference {
  /** The module's URL. */
  readonly module: string;
  /** The name under which the module exports the function. */
  readonly name: string;
}

const references: WeakMap<AnyFunction, FunctionReference> = new WeakMap();

/**
 * Returns the functions of a module, for executors. Each worker imports the module itself when it first runs
 * one of them. The module is not loaded in this thread, and the functions cannot be called here.
 *
 * @param module the module's URL: `new URL('./jobs.js', import.meta.url)`
 * @returns an object with a stand-in, of the same type, for each function that the module exports
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if `module` is not an absolute URL
 *
 * If the module does not export a name, the job fails with an error that lists the exported functions.
 *
 * @example
 * ```ts
 * import { importFunctions, run, toThread } from 'gyre';
 *
 * const path = importFunctions<typeof import('node:path')>('node:path');
 *
 * await run(async () => {
 *   console.log(await toThread(path.basename, '/home/ada/notes.txt')); // notes.txt
 * });
 * ```
 */
export function importFunctions<M extends object>(module: URL | string): ImportedFunctions<M> {
  const url = checkUrl(module);
  const made = new Map<string, AnyFunction>();
  return new Proxy({} as ImportedFunctions<M>, {
    get: (_target, name) => {
      // Without a `then`, `await` does not treat this object as a thenable.
      if (typeof name !== 'string' || name === 'then') return undefined;
      let reference = made.get(name);
      if (reference === undefined) {
        reference = makeReference(url, name);
        made.set(name, reference);
      }
      return reference;
    },
  });
}

/**
 * Returns module and name of a function of {@link importFunctions}, or null for any other function. A custom
 * executor can pass them to a pool of another library.
 *
 * @param fn the function
 *
 * @example
 * ```ts
 * import { importFunctions, referenceOf } from 'gyre';
 *
 * const path = importFunctions<typeof import('node:path')>('node:path');
 * console.log(referenceOf(path.basename)); // { module: 'node:path', name: 'basename' }
 * ```
 */
export function referenceOf(fn: (...args: never[]) => unknown): FunctionReference | null {
  checkFunction('fn', fn);
  return references.get(fn as AnyFunction) ?? null;
}

/** Returns a function in the form in which it is sent to a worker. @throws TypeError if it cannot be sent */
export function shipFunction(fn: AnyFunction): ShippedFunction {
  checkFunction('fn', fn);
  return references.get(fn) ?? shipSource(fn);
}

function makeReference(module: string, name: string): AnyFunction {
  const reference: AnyFunction = () => {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      `${name} of ${module} stands for a function of a worker and cannot be called here: pass it to runInExecutor() or submit()`,
    );
  };
  Object.defineProperty(reference, 'name', { value: name });
  references.set(reference, { module, name });
  return reference;
}

function checkUrl(module: unknown): string {
  if (module instanceof URL) return module.href;
  if (typeof module === 'string' && URL.canParse(module)) return module;
  throw invalidArgType('module', module, "an absolute URL, such as new URL('./jobs.js', import.meta.url)");
}
