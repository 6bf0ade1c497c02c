/** Functions that cross to a worker as their own source. */
import { invalidArgType } from '../base/validate.ts';
import { currentJob } from './current-job.ts';
import type { ShippedFunction } from './job-messages.ts';

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

/**
 * What the source may use although it comes from outside. `__name` is what loaders of TypeScript (esbuild, so
 * tsx and others) wrap around functions to keep their names; `currentJob` is what a job has to talk to its
 * caller.
 */
const SCOPE: Readonly<Record<string, unknown>> = {
  __name: (target: object, value: string): object =>
    Object.defineProperty(target, 'name', { value, configurable: true }),
  currentJob,
};

const shipped: WeakMap<AnyFunction, ShippedFunction> = new WeakMap();

/** @throws TypeError for what has no source, or whose source does not stand for itself */
export function shipSource(fn: AnyFunction): ShippedFunction {
  const known = shipped.get(fn);
  if (known !== undefined) return known;
  const source = Function.prototype.toString.call(fn);
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw invalidArgType(
      'fn',
      fn,
      'a function with a source of its own: this one is native, bound or a proxy',
    );
  }
  if (isClass(fn)) throw invalidArgType('fn', fn, 'a function, not a class');
  const name = nameOf(fn);
  try {
    compile(source, name);
  } catch (cause) {
    const error = invalidArgType('fn', fn, 'a function whose source can be read on its own');
    throw Object.assign(error, { cause });
  }
  const result = { name, source };
  shipped.set(fn, result);
  return result;
}

const compiled: Map<string, AnyFunction> = new Map();

/** On the worker's side. */
export function functionOfSource(source: string, name: string): AnyFunction {
  let fn = compiled.get(source);
  if (fn === undefined) {
    fn = compile(source, name)(...Object.values(SCOPE)) as AnyFunction;
    compiled.set(source, fn);
  }
  return fn;
}

/** The error of a job; a variable that the shipped function does not bring along is explained. */
export function explainSourceError(error: unknown, name: string): unknown {
  try {
    return explain(error, name);
  } catch {
    // A getter of it, or a trap of a proxy, has thrown.
    return error;
  }
}

function explain(error: unknown, name: string): unknown {
  if (!(error instanceof ReferenceError)) return error;
  // In the words of V8 and of JavaScriptCore.
  const variable = /^(\S+) is not defined$|^Can't find variable: (\S+)$/.exec(error.message);
  if (variable === null || !isOwnFrame(error.stack ?? '', name)) return error;
  const outside = variable[1] ?? variable[2];
  const explained = new ReferenceError(
    `${name} uses \`${outside}\` from outside: a function that is shipped to its worker as source has its arguments, globals ` +
      `and import() only. Pass \`${outside}\` as an argument, or put the function into a module and use importFunctions()`,
    { cause: error },
  );
  if (error.stack !== undefined) {
    explained.stack = `${explained.name}: ${explained.message}\n${framesOf(error.stack)}`;
  }
  return explained;
}

export function nameOf(fn: AnyFunction): string {
  return typeof fn.name === 'string' && fn.name !== '' ? fn.name : 'an anonymous function';
}

/**
 * Among functions, only a class has a prototype that cannot be replaced. Its source tells less: a method may
 * be called `class`.
 */
function isClass(fn: AnyFunction): boolean {
  return Object.getOwnPropertyDescriptor(fn, 'prototype')?.writable === false;
}

/**
 * A method's source is none of an expression, but stands in an object. A module's code is strict, so this is,
 * too.
 */
function compile(source: string, name: string): AnyFunction {
  try {
    return functionReturning(`(${source}\n)`, name);
  } catch (error) {
    for (const method of methodForms(source)) {
      const descriptor = `Object.values(Object.getOwnPropertyDescriptors({ ${method}\n}))`;
      try {
        return functionReturning(
          `(${descriptor}.map(({ value, get, set }) => value ?? get ?? set)[0])`,
          name,
        );
      } catch {
        // Another form may be right.
      }
    }
    throw error;
  }
}

/**
 * The source as a method of an object. In place of a key that is computed (`[Symbol.iterator]() {}`) stands a
 * name: what it is computed from is outside. Its closing bracket is the first one behind which the rest is a
 * method.
 */
function* methodForms(source: string): Generator<string> {
  const [start, modifiers] = /^((?:async\b|get\b|set\b)?\s*\*?\s*)\[/.exec(source) ?? [];
  if (start === undefined) {
    yield source;
    return;
  }
  for (let end = source.indexOf(']'); end >= 0; end = source.indexOf(']', end + 1)) {
    yield `${modifiers} method${source.slice(end + 1)}`;
  }
}

function functionReturning(expression: string, name: string): AnyFunction {
  const body = `'use strict'; return ${expression};\n//# sourceURL=${urlOf(name)}`;
  return new Function(...Object.keys(SCOPE), body) as AnyFunction;
}

/** What stands in stacks instead of a file. */
function urlOf(name: string): string {
  return `gyre-job:${encodeURIComponent(name)}`;
}

/**
 * Whether the innermost frame is the function's own; a library that it calls may be broken in the same way.
 */
function isOwnFrame(stack: string, name: string): boolean {
  const [innermost] = framesOf(stack).split('\n');
  return innermost === undefined || innermost === '' || innermost.includes(urlOf(name));
}

function framesOf(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
}
