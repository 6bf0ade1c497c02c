/**
 * Errors from a worker: class, message, stack, `code`, `cause`, `errors` and whatever else they carry that can be copied.
 * The platform's own copying keeps no `code`, and not everywhere the `cause`.
 */
import * as gyreErrors from '../base/errors.ts';
import { describeValue } from '../base/validate.ts';

/** What a worker threw, in a form that can be copied. */
export type CopiedError =
  | { readonly thrown: unknown }
  | {
      /** The nearest class that both sides know. */
      readonly class: string;
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      /** Own properties: `code`, `errno`, … */
      readonly fields: Readonly<Record<string, unknown>>;
      readonly cause?: CopiedError;
      readonly errors?: readonly CopiedError[];
    };

type ErrorClass = abstract new (...args: never[]) => Error;

/** Classes that are the same everywhere, so that `instanceof` keeps its meaning. Others are known by their `name`. */
const CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ['Error', Error],
  ['TypeError', TypeError],
  ['RangeError', RangeError],
  ['SyntaxError', SyntaxError],
  ['ReferenceError', ReferenceError],
  ['EvalError', EvalError],
  ['URIError', URIError],
  ['AggregateError', AggregateError],
  ...(Object.entries(gyreErrors) as [string, ErrorClass][]),
]);

/** Told apart by the platform's own slots, which no prototype can give: it has to be constructed. */
const DOM_EXCEPTION = 'DOMException';

const TOLD_APART = ['name', 'message', 'stack', 'cause', 'errors'];

/** A chain of causes that is longer than this, or bites its own tail, is cut. */
const DEEPEST = 20;

/** Whether a value can be copied is tried by copying it; a process takes less than a thread. */
type Copy = (value: unknown) => unknown;

export function copyError(error: unknown, copy: Copy = structuredClone, depth: number = 0): CopiedError {
  if (!(error instanceof Error)) return { thrown: copyOr(error, copy, describeValue) };
  const base = classOf(error);
  const deeper = depth < DEEPEST;
  const errors = (error as AggregateError).errors as unknown;
  return {
    class: base,
    name: nameOf(error, base),
    message: textOf(error.message),
    stack: typeof error.stack === 'string' ? error.stack : undefined,
    fields: fieldsOf(error, copy),
    ...(deeper && 'cause' in error ? { cause: copyError(error.cause, copy, depth + 1) } : {}),
    ...(deeper && Array.isArray(errors)
      ? { errors: errors.map((each) => copyError(each, copy, depth + 1)) }
      : {}),
  };
}

export function restoreError(copied: CopiedError): unknown {
  if ('thrown' in copied) return copied.thrown;
  const { message, name, stack, cause, errors, fields } = copied;
  const error =
    copied.class === DOM_EXCEPTION ? new DOMException(message, name) : errorOf(copied.class, message, name);
  hide(error, 'stack', stack);
  if (cause !== undefined) hide(error, 'cause', restoreError(cause));
  if (errors !== undefined) hide(error, 'errors', errors.map(restoreError));
  Object.assign(error, fields);
  return error;
}

function errorOf(className: string, message: string, name: string): Error {
  const known = CLASSES.get(className) ?? Error;
  const error = Object.setPrototypeOf(new Error(message), known.prototype) as Error;
  if (error.name !== name) hide(error, 'name', name);
  return error;
}

/** As the language has them: there, but not among what `Object.keys` answers. */
function hide(error: Error, field: string, value: unknown): void {
  Object.defineProperty(error, field, { value, writable: true, configurable: true });
}

function classOf(error: Error): string {
  if (error instanceof DOMException) return DOM_EXCEPTION;
  for (
    let prototype: unknown = Object.getPrototypeOf(error);
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    const name = constructorName(prototype);
    if (CLASSES.get(name)?.prototype === prototype) return name;
  }
  return 'Error';
}

/** A class that gives its errors no name of their own is still told by its name. */
function nameOf(error: Error, base: string): string {
  const name = textOf(error.name);
  return name === base ? constructorName(Object.getPrototypeOf(error)) || name : name;
}

function constructorName(prototype: unknown): string {
  const name = (prototype as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === 'string' ? name : '';
}

function fieldsOf(error: Error, copy: Copy): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const key of Object.getOwnPropertyNames(error)) {
    if (TOLD_APART.includes(key)) continue;
    const kept = copyOr((error as unknown as Record<string, unknown>)[key], copy, () => undefined);
    if (kept !== undefined) fields[key] = kept;
  }
  return fields;
}

/** An error must arrive whatever it carries, so each thing is tried on its own. */
function copyOr(value: unknown, copy: Copy, otherwise: (value: unknown) => unknown): unknown {
  try {
    return copy(value);
  } catch {
    return otherwise(value);
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : describeValue(value);
}
