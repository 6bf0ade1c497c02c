/** The call graph of Python 3.14: which tasks wait for a task, and where each of them stands. */
import { checkInteger, checkOptions, invalidArgType } from '../base/validate.ts';
import { currentTaskOrNull } from '../loop/context.ts';
import { Future } from '../tasks/future.ts';
import { Operation } from '../tasks/operation.ts';
import type { Scope } from '../tasks/scope.ts';
import { Task } from '../tasks/task.ts';
import { awaitedBy, everyTask, framesOf, nameOf } from './waits.ts';

/** A place at which the code of a task stands. */
export interface FrameCallGraphEntry {
  /** The wait: `sleep(5)`, `timeout()`. For the running task: the function. */
  readonly name: string;
  /**
   * The frame of the program that began the wait: `main (file:///app/main.ts:12:9)`. It is known for
   * operations that open something, and in debug mode for every wait; otherwise null.
   */
  readonly location: string | null;
}

/** A future, where its code stands, and the tasks that wait for it. */
export interface FutureCallGraph {
  readonly future: Future<unknown>;
  /** Innermost first. Empty for a future without code. */
  readonly callStack: readonly FrameCallGraphEntry[];
  /**
   * The tasks that wait for the future: directly, or through a limit, a group, a gather, a shield, or a lock
   * that this task holds. Empty if the graph shows the future elsewhere, too.
   */
  readonly awaitedBy: readonly FutureCallGraph[];
  /** True if the future is also nearer to the root of the graph: these tasks wait for each other. */
  readonly cycle: boolean;
}

export interface CallGraphOptions {
  /** The most entries of each call stack; the innermost stay. Default: all. */
  limit?: number;
}

export interface PrintCallGraphOptions extends CallGraphOptions {
  /** The text is written to it. Default: `process.stdout`. */
  file?: { write(text: string): unknown };
}

/**
 * Returns the call graph of a future: where its code stands, who waits for it, who waits for those tasks, and
 * so on, over all loops of this thread.
 *
 * @param future default: the running task
 * @param options `limit`
 * @returns the graph; null if no future is given and no task is running
 * @throws TypeError if `future` is no future; RangeError
 *
 * @example
 * ```ts
 * import { captureCallGraph, getRunningLoop, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const inner = getRunningLoop().createTask(() => sleep(0.01), { name: 'inner' });
 *   const outer = getRunningLoop().createTask(() => inner, { name: 'outer' });
 *   await sleep(0);
 *   const graph = captureCallGraph(inner);
 *   console.log(graph?.callStack[0]?.name); // sleep(0.01)
 *   console.log(graph?.awaitedBy[0]?.future === outer); // true
 *   await outer;
 * });
 * ```
 */
export function captureCallGraph(
  future?: Future<unknown>,
  options: CallGraphOptions = {},
): FutureCallGraph | null {
  const limit = limitOf(options, ['limit']);
  const root = rootOf(future);
  return root === null ? null : new Capture(limit, captureCallGraph).of(root);
}

/**
 * Returns the call graph of {@link captureCallGraph} as text. A cycle is marked.
 *
 * @param future default: the running task
 * @param options `limit`
 * @returns the text; `''` if no future is given and no task is running
 * @throws as {@link captureCallGraph}
 *
 * @example
 * ```ts
 * import { formatCallGraph, run } from 'gyre';
 *
 * await run(async () => console.log(formatCallGraph()));
 * ```
 */
export function formatCallGraph(future?: Future<unknown>, options: CallGraphOptions = {}): string {
  const limit = limitOf(options, ['limit']);
  const root = rootOf(future);
  return root === null ? '' : textOf(new Capture(limit, formatCallGraph).of(root));
}

/**
 * Prints the text of {@link formatCallGraph}.
 *
 * @param future default: the running task
 * @param options `limit`; `file`, to which the text is written
 * @throws as {@link captureCallGraph}
 *
 * @example
 * ```ts
 * import { allTasks, printCallGraph, run } from 'gyre';
 *
 * await run(async () => {
 *   for (const task of allTasks()) printCallGraph(task);
 * });
 * ```
 */
export function printCallGraph(future?: Future<unknown>, options: PrintCallGraphOptions = {}): void {
  const limit = limitOf(options, ['limit', 'file']);
  const { file = process.stdout } = options;
  if (typeof file?.write !== 'function') throw invalidArgType('options.file', file, 'an object with write()');
  const root = rootOf(future);
  if (root !== null) file.write(`${textOf(new Capture(limit, printCallGraph).of(root))}\n`);
}

function limitOf(options: CallGraphOptions, names: string[]): number {
  checkOptions('options', options, names);
  if (options.limit === undefined) return Number.POSITIVE_INFINITY;
  checkInteger('options.limit', options.limit, 0, Number.MAX_SAFE_INTEGER);
  return options.limit;
}

function rootOf(future: Future<unknown> | undefined): Future<unknown> | null {
  if (future === undefined) return currentTaskOrNull() as Future<unknown> | null;
  if (!(future instanceof Future)) throw invalidArgType('future', future, 'a future or a task');
  return future;
}

/** A node of a graph that is being made. */
interface Node extends FutureCallGraph {
  readonly awaitedBy: Node[];
  /** The node whose future this one waits for; null for the root. */
  readonly awaits: Node | null;
}

class Capture {
  readonly #limit: number;
  readonly #below: (...args: never[]) => unknown;
  readonly #tasks: readonly (readonly [Task, ReturnType<typeof awaitedBy>])[];

  /** @param below the function whose caller is the innermost frame of the running task */
  constructor(limit: number, below: (...args: never[]) => unknown) {
    this.#limit = limit;
    this.#below = below;
    this.#tasks = everyTask().map((task) => [task, awaitedBy(task)]);
  }

  /** Uses a list of nodes and no recursion: chains of tasks may be of any length. */
  of(root: Future<unknown>): FutureCallGraph {
    const waiting = this.#waiting();
    const graph = this.#node(root, null, false);
    const nodes = [graph];
    const shown: Set<Future<unknown>> = new Set([root]);
    for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
      const tasks = node.future instanceof Task ? waiting.get(node.future) : this.#waitingFor(node.future);
      for (const task of tasks ?? []) {
        const isShown = shown.has(task);
        const next = this.#node(task, node, isShown);
        node.awaitedBy.push(next);
        if (isShown) continue;
        shown.add(task);
        nodes.push(next);
      }
    }
    return graph;
  }

  /** Returns the tasks that wait for each task. */
  #waiting(): Map<Future<unknown>, Task[]> {
    const waiting: Map<Future<unknown>, Task[]> = new Map();
    for (const [task, { tasks }] of this.#tasks) {
      for (const awaited of tasks) {
        const known = waiting.get(awaited);
        if (known === undefined) waiting.set(awaited, [task]);
        else known.push(task);
      }
    }
    return waiting;
  }

  #waitingFor(future: Future<unknown>): Task[] {
    return this.#tasks.filter(([, { futures }]) => futures.has(future)).map(([task]) => task);
  }

  #node(future: Future<unknown>, awaits: Node | null, isShown: boolean): Node {
    let cycle = false;
    for (let node = awaits; isShown && node !== null && !cycle; node = node.awaits)
      cycle = node.future === future;
    const node: Node = { future, callStack: this.#callStack(future), awaitedBy: [], cycle, awaits };
    // Not a part of the result.
    Object.defineProperty(node, 'awaits', { enumerable: false });
    return node;
  }

  #callStack(future: Future<unknown>): FrameCallGraphEntry[] {
    if (!(future instanceof Task) || future.done()) return [];
    const stack = future === (currentTaskOrNull() as unknown) ? this.#running() : standing(future._scope);
    return stack.slice(0, this.#limit);
  }

  /** Returns the frames of the code that is calling. */
  #running(): FrameCallGraphEntry[] {
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, this.#below as () => void);
    // `Error.prepareStackTrace` of the program may return any value.
    return framesOf(String(holder.stack ?? '')).map((location) => ({
      name: location.replace(/ \(.*\)$/, ''),
      location,
    }));
  }
}

/** Returns the wait at which the code of a scope stands, and the operations of the library around it. */
function standing(scope: Scope): FrameCallGraphEntry[] {
  const entries: FrameCallGraphEntry[] = [];
  for (let inner: Scope | null = scope; inner !== null; ) {
    const future = inner.lastWait?.future as Future<unknown> | undefined;
    if (future === undefined) entries.push({ name: 'a promise of the host', location: null });
    else entries.push({ name: nameOf(future), location: framesOf(future._begunAt())[0] ?? null });
    inner = future instanceof Operation ? future._scope : null;
  }
  return entries.reverse();
}

const HINT = '(debug mode knows where every wait began: loop.debug = true, or GYRE_DEBUG=1)';

function textOf(root: FutureCallGraph): string {
  const lines: string[] = [];
  let unknown = false;
  const ahead: [graph: FutureCallGraph, indent: string][] = [[root, '']];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    const [{ future, callStack, awaitedBy, cycle }, indent] = next;
    lines.push(`${indent}* ${String(future)}${cycle ? ' (a cycle: it waits for itself)' : ''}`);
    if (cycle) continue;
    if (callStack.length > 0) lines.push(`${indent}  + Call stack:`);
    for (const { name, location } of callStack) {
      unknown ||= location === null && !future.getLoop().debug;
      lines.push(
        `${indent}  |   ${location === null || location.startsWith(name) ? (location ?? name) : `${name}, at ${location}`}`,
      );
    }
    if (awaitedBy.length > 0) lines.push(`${indent}  + Awaited by:`);
    for (const graph of [...awaitedBy].reverse()) ahead.push([graph, `${indent}     `]);
  }
  return [...lines, ...(unknown ? [HINT] : [])].join('\n');
}
