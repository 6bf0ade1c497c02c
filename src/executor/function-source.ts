/** Functions that are passed to a worker as their source text. */
import { invalidArgType } from '../base/validate.ts';
import { currentJob } from './current-job.ts';
import type { ShippedFunction } from './job-messages.ts';

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

/**
 * Names from outside that the source may use. TypeScript loaders (esbuild, and so tsx and others) call
 * `__name` to keep the names of functions. A job calls `currentJob` to talk to its caller.
 */
const SCOPE: Readonly<Record<string, unknown>> = {
  __name: (target: object, value: string): object =>
    Object.defineProperty(target, 'name', { value, configurable: true }),
  currentJob,
};

const shipped: WeakMap<AnyFunction, ShippedFunction> = new WeakMap();

/** The checked sources. A function expression in a loop is another function each time. */
const shippedSources: Map<string, ShippedFunction> = new Map();

/** The number of sources, and of compiled functions, that are kept: a program may generate sources. */
const MOST_SOURCES = 1024;

/** @throws TypeError if the function has no source, or if its source is incomplete */
export function shipSource(fn: AnyFunction): ShippedFunction {
  const known = shipped.get(fn);
  if (known !== undefined) return known;
  const source = Function.prototype.toString.call(fn);
  const same = shippedSources.get(source);
  if (same !== undefined && same.name === nameOf(fn)) return same;
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw invalidArgType(
      'fn',
      fn,
      'a function with source text; a native or bound function, or a proxy, has none',
    );
  }
  if (isClass(fn)) throw invalidArgType('fn', fn, 'a function, not a class');
  const name = nameOf(fn);
  try {
    compile(source, name);
  } catch (cause) {
    const error = invalidArgType('fn', fn, 'a function whose source text can be compiled on its own');
    throw Object.assign(error, { cause });
  }
  const result = { name, source };
  shipped.set(fn, result);
  if (shippedSources.size === MOST_SOURCES) shippedSources.clear();
  shippedSources.set(source, result);
  return result;
}

const compiled: Map<string, AnyFunction> = new Map();

/** Returns the function, on the worker's side. */
export function functionOfSource(source: string, name: string): AnyFunction {
  let fn = compiled.get(source);
  if (fn === undefined) {
    fn = compile(source, name)(...Object.values(SCOPE)) as AnyFunction;
    if (compiled.size === MOST_SOURCES) compiled.clear();
    compiled.set(source, fn);
  }
  return fn;
}

/** Returns the error of a job. If the function used a variable from outside, the error explains it. */
export function explainSourceError(error: unknown, name: string): unknown {
  try {
    return explain(error, name);
  } catch {
    // A getter of the error, or a trap of a proxy, has thrown.
    return error;
  }
}

function explain(error: unknown, name: string): unknown {
  if (!(error instanceof ReferenceError)) return error;
  // The messages of V8 and of JavaScriptCore.
  const variable = /^(\S+) is not defined$|^Can't find variable: (\S+)$/.exec(error.message);
  if (variable === null || !isOwnFrame(error.stack ?? '', name)) return error;
  const outside = variable[1] ?? variable[2];
  const explained = new ReferenceError(
    `${name} uses \`${outside}\` from outside: a function that is passed to its worker as source has only its arguments, globals ` +
      `and import(). Pass \`${outside}\` as an argument, or put the function into a module and use importFunctions()`,
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
 * Checks whether the prototype can be replaced: among functions, only a class has a fixed prototype. The
 * source is less reliable, because a method may be named `class`.
 */
function isClass(fn: AnyFunction): boolean {
  return Object.getOwnPropertyDescriptor(fn, 'prototype')?.writable === false;
}

/**
 * Compiles a function from its source. The source of a method is not an expression, so it is put into an
 * object. Module code is strict, so the compiled code is strict, too.
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
        // Another form may be valid.
      }
    }
    throw error;
  }
}

/**
 * Yields the source as a method of an object. A computed key (`[Symbol.iterator]() {}`) is replaced by a
 * name, because its expression may use outside variables. Its closing bracket is the first one after which
 * the rest is a valid method.
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

/** Returns the name that appears in stacks in place of a file. */
function urlOf(name: string): string {
  return `gyre-job:${encodeURIComponent(name)}`;
}

/**
 * Returns true if the innermost frame belongs to the function itself. A library that it calls may have the
 * same error.
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
