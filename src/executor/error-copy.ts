/**
 * Errors from a worker: class, message, stack, `code`, `cause`, `errors` and whatever else they carry that
 * can be copied. The platform's own copying keeps no `code`, and not everywhere the `cause`.
 *
 * They cross as a table. An error that several others refer to is in it once, so that the work is linear in
 * the errors, and a chain of causes may be long or a circle. Every property is read as one that may throw:
 * the error must arrive whatever it carries.
 */
import * as gyreErrors from '../base/errors.ts';
import { describeValue } from '../base/validate.ts';

/** What a worker threw, in a form that can be copied. */
export interface CopiedThrow {
  readonly thrown: CopiedValue;
  /** Those that `thrown` refers to, directly or not. */
  readonly errors: readonly CopiedError[];
}

/** A place in the table, or a value that is no error. */
type CopiedValue = { readonly error: number } | { readonly value: unknown };

interface CopiedError {
  /** The nearest class that both sides know. */
  readonly class: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: CopiedValue | null;
  readonly errors: readonly CopiedValue[] | null;
  /** Own properties: `code`, `errno`, … */
  readonly fields: readonly CopiedField[];
}

interface CopiedField {
  readonly name: string;
  readonly enumerable: boolean;
  readonly content: CopiedValue;
}

type ErrorClass = abstract new (...args: never[]) => Error;

/**
 * Classes that are the same everywhere, so that `instanceof` keeps its meaning. Others are known by their
 * `name`.
 */
const CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ['Error', Error],
  ['TypeError', TypeError],
  ['RangeError', RangeError],
  ['SyntaxError', SyntaxError],
  ['ReferenceError', ReferenceError],
  ['EvalError', EvalError],
  ['URIError', URIError],
  ['AggregateError', AggregateError],
  ...suppressedError(),
  ...(Object.entries(gyreErrors) as [string, ErrorClass][]),
]);

/** Node has it from 24 on. */
function suppressedError(): [string, ErrorClass][] {
  const { SuppressedError: found } = globalThis as { SuppressedError?: ErrorClass };
  return found === undefined ? [] : [['SuppressedError', found]];
}

/** Told apart by the platform's own slots, which no prototype can give: it has to be constructed. */
const DOM_EXCEPTION = 'DOMException';

const TOLD_APART = ['name', 'message', 'stack', 'cause', 'errors'];

/** Whether a value can be copied is tried by copying it; a process takes less than a thread. */
type Copy = (value: unknown) => unknown;

export function copyError(thrown: unknown, copy: Copy = structuredClone): CopiedThrow {
  const table = new ErrorTable(copy);
  return { thrown: table.contentOf(thrown), errors: table.copies() };
}

class ErrorTable {
  readonly #copy: Copy;
  readonly #places: Map<Error, number> = new Map();

  constructor(copy: Copy) {
    this.#copy = copy;
  }

  contentOf(value: unknown): CopiedValue {
    return this.#placeOf(value) ?? this.#copied(value) ?? { value: describeValue(value) };
  }

  /** Copying one may add others: the walk meets them, too. */
  copies(): CopiedError[] {
    return Array.from(this.#places.keys(), (error) => this.#copyOf(error));
  }

  #placeOf(value: unknown): CopiedValue | null {
    if (!isError(value)) return null;
    let place = this.#places.get(value);
    if (place === undefined) {
      place = this.#places.size;
      this.#places.set(value, place);
    }
    return { error: place };
  }

  /** Each value is tried on its own; null: it cannot be copied. */
  #copied(value: unknown): CopiedValue | null {
    try {
      return { value: this.#copy(value) };
    } catch {
      return null;
    }
  }

  #copyOf(error: Error): CopiedError {
    const base = classOf(error);
    const stack = read(error, 'stack');
    const errors = listOf(read(error, 'errors'));
    return {
      class: base,
      name: nameOf(error, base),
      message: textOf(read(error, 'message')),
      stack: typeof stack === 'string' ? stack : undefined,
      cause: has(error, 'cause') ? this.contentOf(read(error, 'cause')) : null,
      errors: errors?.map((each) => this.contentOf(each)) ?? null,
      fields: namesOf(error).flatMap((name) => {
        const value = TOLD_APART.includes(name) ? undefined : read(error, name);
        const content = value === undefined ? null : (this.#placeOf(value) ?? this.#copied(value));
        return content === null ? [] : [{ name, enumerable: isEnumerable(error, name), content }];
      }),
    };
  }
}

export function restoreError({ thrown, errors }: CopiedThrow): unknown {
  const made = errors.map(bare);
  const contentOf = (content: CopiedValue): unknown =>
    'error' in content ? made[content.error] : content.value;
  for (const [i, { cause, errors: list, fields }] of errors.entries()) {
    const error = made[i] as Error;
    if (cause !== null) define(error, 'cause', contentOf(cause));
    if (list !== null) define(error, 'errors', list.map(contentOf));
    for (const { name, enumerable, content } of fields) define(error, name, contentOf(content), enumerable);
  }
  return contentOf(thrown);
}

/** Without what it refers to. */
function bare({ class: className, message, name, stack }: CopiedError): Error {
  const error =
    className === DOM_EXCEPTION ? new DOMException(message, name) : errorOf(className, message, name);
  define(error, 'stack', stack);
  return error;
}

function errorOf(className: string, message: string, name: string): Error {
  const known = CLASSES.get(className) ?? Error;
  const error = Object.setPrototypeOf(new Error(message), known.prototype) as Error;
  if (error.name !== name) define(error, 'name', name);
  return error;
}

/** As the language has what is its own: there, but not among what `Object.keys` answers. */
function define(error: Error, field: string, value: unknown, enumerable: boolean = false): void {
  Object.defineProperty(error, field, { value, enumerable, writable: true, configurable: true });
}

function classOf(error: Error): string {
  try {
    if (error instanceof DOMException) return DOM_EXCEPTION;
    for (
      let prototype: unknown = Object.getPrototypeOf(error);
      prototype !== null;
      prototype = Object.getPrototypeOf(prototype)
    ) {
      const name = constructorName(prototype);
      if (CLASSES.get(name)?.prototype === prototype) return name;
    }
  } catch {
    // A proxy.
  }
  return 'Error';
}

/** A class that gives its errors no name of their own is still told by its name. */
function nameOf(error: Error, base: string): string {
  const name = textOf(read(error, 'name'));
  return name === base ? constructorName(error) || name : name;
}

function constructorName(of: unknown): string {
  const name = read(read(of, 'constructor'), 'name');
  return typeof name === 'string' ? name : '';
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : describeValue(value);
}

// A getter, or a trap of a proxy, may throw: what cannot be read is not there.

function read(object: unknown, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

function has(object: object, name: string): boolean {
  try {
    return name in object;
  } catch {
    return false;
  }
}

function namesOf(object: object): string[] {
  try {
    return Object.getOwnPropertyNames(object);
  } catch {
    return [];
  }
}

function isEnumerable(object: object, name: string): boolean {
  try {
    return Object.prototype.propertyIsEnumerable.call(object, name);
  } catch {
    return true;
  }
}

function listOf(value: unknown): unknown[] | null {
  try {
    return Array.isArray(value) ? [...(value as unknown[])] : null;
  } catch {
    return null;
  }
}
