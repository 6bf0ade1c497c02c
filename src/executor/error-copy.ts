/**
 * Copies errors from a worker with class, message, stack, `code`, `cause`, `errors` and every other property
 * that can be copied. The platform's own copy drops `code`, and on some platforms the `cause`.
 *
 * The errors are sent as a table. An error that several others refer to is in it once. So the work is linear
 * in the number of errors, and a chain of causes may be long or circular. Reading a property may throw, and
 * the error must arrive anyway.
 */
import * as gyreErrors from '../base/errors.ts';
import { describeValue } from '../base/validate.ts';

/** A thrown value in a form that can be copied. */
export interface CopiedThrow {
  readonly thrown: CopiedValue;
  /** The errors that `thrown` refers to, directly or indirectly. */
  readonly errors: readonly CopiedError[];
}

/** An index in the table, or a value that is not an error. */
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
 * Classes that exist on both sides, so that `instanceof` works. Other classes are identified by their `name`.
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

/** Node has it since version 24. */
function suppressedError(): [string, ErrorClass][] {
  const { SuppressedError: found } = globalThis as { SuppressedError?: ErrorClass };
  return found === undefined ? [] : [['SuppressedError', found]];
}

/** It must be constructed, because `DOMException` has internal slots that a prototype cannot provide. */
const DOM_EXCEPTION = 'DOMException';

const COPIED_SEPARATELY = ['name', 'message', 'stack', 'cause', 'errors'];

/** Copies a value, or throws if it cannot be copied. A process can copy fewer values than a thread. */
type Copy = (value: unknown) => unknown;

export function copyError(thrown: unknown, copy: Copy = structuredClone): CopiedThrow {
  const table = new ErrorTable(copy);
  return { thrown: table.contentOf(thrown), errors: table.copies() };
}

class ErrorTable {
  readonly #copy: Copy;
  readonly #indices: Map<Error, number> = new Map();

  constructor(copy: Copy) {
    this.#copy = copy;
  }

  contentOf(value: unknown): CopiedValue {
    return this.#indexOf(value) ?? this.#copied(value) ?? { value: describeValue(value) };
  }

  /** Copying an error may add errors to the map. The iteration visits these, too. */
  copies(): CopiedError[] {
    return Array.from(this.#indices.keys(), (error) => this.#copyOf(error));
  }

  #indexOf(value: unknown): CopiedValue | null {
    if (!isError(value)) return null;
    let index = this.#indices.get(value);
    if (index === undefined) {
      index = this.#indices.size;
      this.#indices.set(value, index);
    }
    return { error: index };
  }

  /** Tries to copy one value. Returns null if it cannot be copied. */
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
        const value = COPIED_SEPARATELY.includes(name) ? undefined : read(error, name);
        const content = value === undefined ? null : (this.#indexOf(value) ?? this.#copied(value));
        return content === null ? [] : [{ name, enumerable: isEnumerable(error, name), content }];
      }),
    };
  }
}

export function restoreError({ thrown, errors }: CopiedThrow): unknown {
  const made = errors.map(withoutReferences);
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

/** Returns the error without the errors that it refers to. */
function withoutReferences({ class: className, message, name, stack }: CopiedError): Error {
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

/** Defines a property. By default it is not enumerable, as the language's own error properties. */
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
    // A trap of a proxy has thrown.
  }
  return 'Error';
}

/** Returns the class name if the class did not set a `name` for its errors. */
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

// A getter, or a trap of a proxy, may throw. A property that cannot be read counts as missing.

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
