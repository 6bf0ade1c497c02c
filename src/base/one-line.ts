/**
 * One line for each public object: `console.log(lock)` prints `Lock { held by 'a', 2 wait: 'b', 'c' }`. So
 * do `String(lock)` and `JSON.stringify(lock)`. A depth of more than 2 shows more: `console.dir(server, {
 * depth: 3 })`.
 */

/** The key of the method that `console.log` calls. Every host has it, so `node:util` need not be loaded. */
const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** The depth of `console.log` if nobody asks for another one. */
const USUAL_DEPTH = 2;

/** An object with a one-line view. */
export interface Shown {
  /** Returns the text between the braces. It may throw; then the line has none. @internal */
  _facts(): string;
  /** Returns what a larger depth adds. @internal */
  _more?(): Record<string, unknown>;
}

type Inspect = (value: unknown, options: object) => string;

/** Gives the instances of a class, and of its subclasses, a one-line view. */
export function showInOneLine(shown: { readonly prototype: Shown }): void {
  const line = function (this: Shown): string {
    return oneLine(this);
  };
  for (const [key, value] of [
    [INSPECT, inspectShown],
    ['toString', line],
    ['toJSON', line],
  ] as const) {
    Object.defineProperty(shown.prototype, key, { value, configurable: true, writable: true });
  }
}

function inspectShown(this: Shown, depth: number | null, options: object, inspect: Inspect): string {
  const line = oneLine(this);
  // Inside another object the depth counts down, so only a caller that asks for more gets more.
  if (depth !== null && depth <= USUAL_DEPTH) return line;
  try {
    const more = this._more?.() ?? {};
    return Object.keys(more).length === 0
      ? line
      : `${line} ${inspect(more, { ...options, depth: USUAL_DEPTH })}`;
  } catch {
    return line;
  }
}

/** The objects whose line is being made. */
const underWay: Set<Shown> = new Set();

function oneLine(shown: Shown): string {
  const name = nameOf(shown);
  // A getter or an overridden method of a subclass may print the object again.
  if (underWay.has(shown)) return `${name} {}`;
  underWay.add(shown);
  try {
    const facts = shown._facts();
    return facts === '' ? `${name} {}` : `${name} { ${facts} }`;
  } catch {
    // The prototype, for example, has no facts.
    return `${name} {}`;
  } finally {
    underWay.delete(shown);
  }
}

/** The name of the class; for futures and tasks that of the public class. */
function nameOf(shown: Shown & { [Symbol.toStringTag]?: string }): string {
  try {
    const name: unknown = shown[Symbol.toStringTag] ?? shown.constructor.name;
    return typeof name === 'string' ? name : 'Object';
  } catch {
    return 'Object';
  }
}

const LONGEST_TEXT = 40;

/** Returns a short text for a value of the program: `'text'`, `5`, `Error: text`, `[Array]`. */
export function brief(value: unknown): string {
  if (typeof value === 'string') return `'${shortened(value)}'`;
  if (typeof value === 'function') return value.name === '' ? '(anonymous)' : shortened(value.name);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Error) return shortened(`${value.name}: ${value.message}`);
  return `[${Object.prototype.toString.call(value).slice('[object '.length, -1)}]`;
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= LONGEST_TEXT ? line : `${line.slice(0, LONGEST_TEXT - 1)}…`;
}

/** Returns the facts of an object of the program, which may be of another library. */
export function factsOf(value: object): string {
  const { _facts } = value as Partial<Shown>;
  return typeof _facts === 'function' ? _facts.call(value) : brief(value);
}

/** `1 task`, `3 tasks` */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** `0 bytes`, `12.3 KiB` */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte');
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / (1024 * 1024)).toFixed(1)} MiB`;
}

/** `2.1 s`, `12 ms` */
export function secondsText(seconds: number): string {
  if (!Number.isFinite(seconds)) return seconds > 0 ? 'never' : 'now';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}
