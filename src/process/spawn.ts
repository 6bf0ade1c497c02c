/** `loop.subprocessExec` and `loop.subprocessShell`. */

import type { RawProcess, SpawnStdio, SpawnTarget } from '../backend/backend.ts';
import { DEVNULL, PIPE, STDOUT } from '../base/constants.ts';
import { namingArgument } from '../base/unusable.ts';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  describeValue,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { captureContext } from '../loop/context.ts';
import { capability, checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { ProtocolFactory, SubprocessProtocol } from '../net/protocol.ts';
import { SUBPROCESS_PROTOCOL_METHODS } from '../net/protocol.ts';
import { checkFactory, makeProtocol, makerOf } from '../net/protocol-caller.ts';
import type { SubprocessTransport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { operation } from '../tasks/operation.ts';
import { killUnwanted, ProcessTransport } from './subprocess-transport.ts';

/** More than the highest number of descriptors that Linux allows a process by default. */
const HIGHEST_FD = 1_048_576;
const HIGHEST_ID = 0x7fffffff;

/**
 * A descriptor of a child: `PIPE`, `DEVNULL`, `STDOUT` (stderr only), `'inherit'` (the parent's descriptor
 * with the same number), a file descriptor, or an object with a descriptor (a stream of Node or a
 * `FileHandle`).
 */
export type SubprocessStdio = number | 'inherit' | object;

export interface SubprocessOptions extends SignalOptions {
  /**
   * `PIPE` (default), `DEVNULL`, `'inherit'`, a file descriptor, or an object with a descriptor (a stream of
   * Node or a `FileHandle`).
   */
  stdin?: SubprocessStdio;
  /** As `stdin`. */
  stdout?: SubprocessStdio;
  /** As `stdin`, and also `STDOUT`, which means the same as stdout. */
  stderr?: SubprocessStdio;
  /** The child's working directory. Default: the parent's. */
  cwd?: string | URL;
  /** The child's whole environment; undefined values are left out. Default: the parent's. */
  env?: Readonly<Record<string, string | undefined>>;
  /** The child's user id. The parent needs the right to change it. Default: the parent's. */
  uid?: number;
  /** The child's group id. Default: the parent's. */
  gid?: number;
  /**
   * True: the child gets a session and process group of its own, and `process.kill(-pid)` reaches the whole
   * group. Default: false.
   */
  detached?: boolean;
  /** The name that the child sees as its own. Default: the program. */
  argv0?: string;
  /** More descriptors, from 3 on, that the child gets under the same numbers. */
  passFds?: readonly number[];
  /** Must be false: data is received as bytes. */
  universalNewlines?: boolean;
  /** Must be false for `subprocessExec`, true for `subprocessShell`. */
  shell?: boolean;
  /** Must be 0: no data is buffered. */
  bufsize?: number;
}

export const SUBPROCESS_OPTIONS: readonly string[] = [
  'stdin',
  'stdout',
  'stderr',
  'cwd',
  'env',
  'uid',
  'gid',
  'detached',
  'argv0',
  'passFds',
  'universalNewlines',
  'shell',
  'bufsize',
  'signal',
];

/** See `BaseEventLoop.subprocessExec`. */
export function subprocessExec<P extends SubprocessProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  program: string,
  args: readonly string[],
  options: SubprocessOptions,
): Future<[SubprocessTransport, P]> {
  checkFactory(factory);
  checkText('program', program);
  if (program === '') throw outOfRange('program', program, 'the name of a program');
  if (!Array.isArray(args)) throw invalidArgType('args', args, 'an array of strings');
  for (const [index, arg] of args.entries()) checkText(`args[${index}]`, arg);
  return start(loop, factory, targetOf(program, args, options, false), options.signal);
}

/** See `BaseEventLoop.subprocessShell`. */
export function subprocessShell<P extends SubprocessProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  command: string,
  options: SubprocessOptions,
): Future<[SubprocessTransport, P]> {
  checkFactory(factory);
  checkText('command', command);
  return start(loop, factory, targetOf(command, [], options, true), options.signal);
}

function start<P extends SubprocessProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  target: SpawnTarget,
  signal: AbortSignal | undefined,
): Future<[SubprocessTransport, P]> {
  checkSupports(loop, 'processes');
  // Don't start anything if the signal is already aborted.
  if (signal?.aborted) return cancelOnAbort(new Future<[SubprocessTransport, P]>(loop), signal);
  const context = captureContext(loop);
  const name = nameOf(target);
  const spawning = spawn(loop, target, name);
  return cancelOnAbort(
    operation(loop, target.shell ? 'subprocessShell' : 'subprocessExec', async () => {
      return attach(loop, await spawning, factory, context, name);
    }),
    signal,
  );
}

function spawn(loop: Loop, target: SpawnTarget, name: string): HostOperation<RawProcess> {
  return HostOperation.begin(loop, `the start of ${name}`, disposeChild, (request) => {
    const raw = namingArgument('options', () =>
      capability(loop, 'processes').spawn(target, {
        onSpawn: (child) => request.succeed(child),
        onError: (error) => request.fail(error),
      }),
    );
    return () => raw.cancel();
  });
}

/** Kills a child that no code has seen yet. */
function disposeChild(child: RawProcess): void {
  killUnwanted(child);
  for (const pipe of child.pipes) pipe?.abort();
}

/** Makes the protocol and calls it. If that fails, the child is killed. */
function attach<P extends SubprocessProtocol>(
  loop: Loop,
  child: RawProcess,
  factory: ProtocolFactory<P>,
  context: CapturedContext,
  name: string,
): [SubprocessTransport, P] {
  let protocol: P;
  try {
    protocol = makeProtocol(loop, context, makerOf(factory), SUBPROCESS_PROTOCOL_METHODS);
  } catch (error) {
    disposeChild(child);
    throw error;
  }
  const transport = new ProcessTransport(loop, child, protocol, context, name);
  const failure = transport._begin();
  if (failure !== null) throw failure;
  return [transport, protocol];
}

/** Returns the name for reports. A shell command is shortened, because it may be very long. */
function nameOf({ program, shell }: SpawnTarget): string {
  return shell ? describeValue(program) : program;
}

function targetOf(
  program: string,
  args: readonly string[],
  options: SubprocessOptions,
  shell: boolean,
): SpawnTarget {
  checkOptions('options', options, SUBPROCESS_OPTIONS);
  checkRefused(options, shell);
  checkSignal('options.signal', options.signal);
  const { cwd = null, uid = null, gid = null, detached = false, argv0 = null, passFds = [] } = options;
  checkCwd(cwd);
  if (uid !== null) checkInteger('options.uid', uid, 0, HIGHEST_ID);
  if (gid !== null) checkInteger('options.gid', gid, 0, HIGHEST_ID);
  checkBoolean('options.detached', detached);
  if (argv0 !== null) checkText('options.argv0', argv0);
  checkPassFds(passFds);
  const env = environmentOf(options.env);
  const stdio = stdioOf(options);
  return {
    program,
    shell,
    args: [...args],
    argv0,
    cwd,
    env,
    uid,
    gid,
    detached,
    stdio,
    passFds: [...passFds],
  };
}

/** Rejects options of `subprocess.Popen` that an event loop cannot support, as asyncio does. */
function checkRefused({ universalNewlines, shell, bufsize }: SubprocessOptions, isShell: boolean): void {
  if (universalNewlines !== undefined) {
    checkBoolean('options.universalNewlines', universalNewlines);
    if (universalNewlines) throw outOfRange('options.universalNewlines', true, 'false: data comes as bytes');
  }
  if (shell !== undefined) {
    checkBoolean('options.shell', shell);
    if (shell !== isShell) throw outOfRange('options.shell', shell, `${isShell}, or absent`);
  }
  if (bufsize !== undefined) checkInteger('options.bufsize', bufsize, 0, 0);
}

function checkCwd(cwd: unknown): void {
  if (cwd === null) return;
  if (cwd instanceof URL) {
    if (cwd.protocol === 'file:') return;
    throw outOfRange('options.cwd', cwd.href, 'a file: URL of a directory');
  }
  if (typeof cwd !== 'string') throw invalidArgType('options.cwd', cwd, 'a string or a URL');
  checkText('options.cwd', cwd);
  // Node treats an empty string as if the option were absent.
  if (cwd === '') throw outOfRange('options.cwd', cwd, 'the path of a directory, not an empty string');
}

function checkPassFds(passFds: unknown): void {
  if (!Array.isArray(passFds)) throw invalidArgType('options.passFds', passFds, 'an array of descriptors');
  for (const [index, fd] of passFds.entries()) checkInteger(`options.passFds[${index}]`, fd, 3, HIGHEST_FD);
}

function stdioOf({ stdin = PIPE, stdout = PIPE, stderr = PIPE }: SubprocessOptions): SpawnTarget['stdio'] {
  const input = descriptorOf('options.stdin', stdin);
  const output = descriptorOf('options.stdout', stdout);
  return [input, output, stderr === STDOUT ? sameAs(output) : descriptorOf('options.stderr', stderr)];
}

function descriptorOf(name: string, value: unknown): SpawnStdio {
  const forStderr = name === 'options.stderr' ? ', STDOUT' : '';
  const accepted = `PIPE, DEVNULL${forStderr}, 'inherit', a descriptor, or a stream that has one`;
  if (value === PIPE) return { kind: 'pipe' };
  if (value === DEVNULL) return { kind: 'null' };
  if (value === 'inherit') return { kind: 'inherit' };
  if (typeof value === 'object' && value !== null) return { kind: 'stream', stream: value };
  if (typeof value !== 'number') throw invalidArgType(name, value, accepted);
  if (!Number.isInteger(value) || value < 0 || value > HIGHEST_FD) throw outOfRange(name, value, accepted);
  return { kind: 'fd', fd: value };
}

/** Returns the descriptor of a stderr that is the same as stdout. */
function sameAs(output: SpawnStdio): SpawnStdio {
  if (output.kind === 'pipe') return { kind: 'stdout' };
  return output.kind === 'inherit' ? { kind: 'fd', fd: 1 } : output;
}

function environmentOf(env: unknown): Record<string, string> | null {
  if (env === undefined) return null;
  if (typeof env !== 'object' || env === null || Array.isArray(env)) {
    throw invalidArgType('options.env', env, 'an object of strings');
  }
  const pairs = Object.entries(env).filter(([, value]) => value !== undefined);
  for (const [name, value] of pairs) {
    if (name === '' || name.includes('=') || name.includes('\0')) {
      throw outOfRange(
        'options.env',
        name,
        "an object whose names are not empty and contain neither '=' nor a null byte",
      );
    }
    checkText(`options.env.${name}`, value);
  }
  return Object.fromEntries(pairs) as Record<string, string>;
}

/** Rejects null bytes, because the system ends a string at a null byte. */
function checkText(name: string, value: unknown): void {
  checkString(name, value);
  if ((value as string).includes('\0')) throw outOfRange(name, value, 'a string without null bytes');
}
