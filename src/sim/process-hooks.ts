/**
 * The face of `process` for code of simulated hosts, in force while a simulation runs: `process.exit()` ends
 * the program, `process.on('SIGTERM')` listens to the signals of the program, `process.kill()` knows the
 * processes of the host, and exceptions that nothing catches go to the world. Code outside of every simulated
 * host has the real process.
 *
 * It replaces `process.emit` instead of adding listeners: a listener would turn off the default action for
 * exceptions of the machine's own code, and a test runner's listener would take those of the hosts for its
 * own.
 */
import { SIGNALS } from '../backend/sim/machine/signals.ts';
import { currentTaskOrNull } from '../loop/context.ts';
import type { Place } from './place.ts';
import { currentPlace } from './place.ts';
import { programOf } from './program.ts';
import { isProgramEvent } from './program-events.ts';

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;
/** Returns the function for code of a host. */
type Inside = (original: AnyFunction) => (place: Place, args: unknown[]) => unknown;

let users = 0;
let uninstall: (() => void) | null = null;

/** Puts the hooks into force. Returns a function that is called at the end of the simulation. */
export function installProcessHooks(): () => void {
  if (users++ === 0) uninstall = install();
  return () => {
    if (--users > 0) return;
    uninstall?.();
    uninstall = null;
  };
}

/** The methods of an emitter whose first argument is an event. */
const EMITTER_METHODS = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
  'off',
  'removeListener',
  'removeAllListeners',
  'listeners',
  'rawListeners',
  'listenerCount',
] as const;

function install(): () => void {
  const { exitCode } = process;
  const undo = [
    replace(
      'exit',
      () =>
        (place, [code]) =>
          place.exit(Number(code ?? 0)),
    ),
    replace('abort', () => (place) => place.killProcess(place.pid, SIGNALS.SIGABRT as number)),
    replace(
      'kill',
      () =>
        (place, [pid, signal]) =>
          place.killProcess(Number(pid), signumOf(signal)),
    ),
    ...EMITTER_METHODS.map((name) => replace(name, insideEmitter(name))),
    replaceEmit(),
    replacePid(),
  ];
  return () => {
    for (const one of undo) one();
    process.exitCode = exitCode;
  };
}

/** Replaces a method of `process` for code of hosts. Returns a function that puts it back. */
function replace(name: string, make: Inside): () => void {
  const holder = process as unknown as Record<string, AnyFunction>;
  const original = holder[name] as AnyFunction;
  const inside = make(original);
  return put(name, function (this: unknown, ...args: unknown[]): unknown {
    const place = currentPlace();
    return place === null ? original.apply(this, args) : inside(place, args);
  });
}

function put(name: string, replacement: AnyFunction): () => void {
  const own = Object.getOwnPropertyDescriptor(process, name);
  const enumerable = own?.enumerable ?? false;
  const value = { configurable: true, writable: true, enumerable, value: replacement };
  Object.defineProperty(process, name, value);
  return () => {
    // Another tool may have replaced it meanwhile, and calls this one.
    if ((process as unknown as Record<string, unknown>)[name] !== replacement) return;
    if (own === undefined) delete (process as unknown as Record<string, unknown>)[name];
    else Object.defineProperty(process, name, own);
  };
}

function insideEmitter(name: (typeof EMITTER_METHODS)[number]): Inside {
  return (original) => (place, args) => {
    const all = name === 'removeAllListeners' && args.length === 0;
    if (!all && !isProgramEvent(args[0])) return original.apply(process, args);
    const { events } = place;
    const answer = (events[name] as AnyFunction).apply(events, args);
    return answer === events ? process : answer;
  };
}

function replaceEmit(): () => void {
  const original = process.emit as AnyFunction;
  return put('emit', function (this: unknown, ...args: unknown[]): unknown {
    const [event, ...rest] = args;
    if (event === 'unhandledRejection' || event === 'uncaughtException') {
      if (isTaken(event, rest)) return true;
    } else {
      const place = currentPlace();
      // Node emits the monitor's event before the other.
      if (place !== null && event === 'uncaughtExceptionMonitor') return true;
      if (place !== null && isProgramEvent(event)) return place.events.emit(event as string, ...rest);
    }
    return original.apply(this, args);
  });
}

/** Replaces the number of the process, which differs between two runs. */
function replacePid(): () => void {
  const original = Object.getOwnPropertyDescriptor(process, 'pid') as PropertyDescriptor;
  // Deno does not allow it.
  if (original?.configurable === false) return () => {};
  const real = process.pid;
  const { enumerable = true } = original;
  const get = (): number => currentPlace()?.pid ?? real;
  Object.defineProperty(process, 'pid', { configurable: true, enumerable, get });
  return () => {
    Object.defineProperty(process, 'pid', original);
  };
}

function signumOf(signal: unknown): number {
  if (typeof signal === 'number') return signal;
  const signum = SIGNALS[String(signal ?? 'SIGTERM')];
  if (signum !== undefined) return signum;
  throw Object.assign(new TypeError(`Unknown signal: ${String(signal)}`), { code: 'ERR_UNKNOWN_SIGNAL' });
}

/** Returns true if the event is an exception of a simulated host, which its program or its world takes. */
function isTaken(event: 'unhandledRejection' | 'uncaughtException', args: readonly unknown[]): boolean {
  const program = event === 'unhandledRejection' ? programOf(args[1] as Promise<unknown>) : null;
  if (program !== null) {
    program.resultLost(args[0]);
    return true;
  }
  const place = currentPlace();
  if (place === null) return false;
  if (place.alive && place.events.takeError(event, args)) return true;
  const what = event === 'unhandledRejection' ? 'an unhandled rejection' : 'an uncaught exception';
  const task = currentTaskOrNull() as { readonly name?: string } | null;
  place.fail(args[0], task?.name === undefined ? what : `${what} of task ${task.name}`);
  return true;
}
