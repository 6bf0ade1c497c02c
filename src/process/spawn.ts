/** `loop.subprocessExec` and `loop.subprocessShell`. */
import type { RawProcess, SpawnStdio, SpawnTarget } from '../backend/backend.ts';
import { DEVNULL, PIPE, STDOUT } from '../base/constants.ts';
import {
  checkBoolean,
  checkFunction,
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
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { SubprocessProtocol } from '../net/protocol.ts';
import { SUBPROCESS_PROTOCOL_METHODS } from '../net/protocol.ts';
import { makeProtocol } from '../net/protocol-caller.ts';
import type { SubprocessTransport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { operation } from '../tasks/operation.ts';
import { killUnwanted, ProcessTransport } from './subprocess-transport.ts';

/** Above the most descriptors that Linux gives a process unless told otherwise. */
const HIGHEST_FD = 1_048_576;
const HIGHEST_ID = 0x7fffffff;

/**
 * What a child's descriptor is: `PIPE`, `DEVNULL`, `STDOUT` (stderr only), `'inherit'` (ours of the same
 * number), a descriptor, or a stream of Node's or a `FileHandle` that has one.
 */
export type SubprocessStdio = number | 'inherit' | object;

export interface SubprocessOptions extends SignalOptions {
  /**
   * `PIPE` (default), `DEVNULL`, `'inherit'`, a descriptor, or a stream of Node's or a `FileHandle` that has
   * one.
   */
  stdin?: SubprocessStdio;
  /** As `stdin`. */
  stdout?: SubprocessStdio;
  /** As `stdin`; or `STDOUT`: where stdout goes. */
  stderr?: SubprocessStdio;
  /** The child's working directory. Default: ours. */
  cwd?: string | URL;
  /** The child's whole environment; undefined values are left out. Default: ours. */
  env?: Readonly<Record<string, string | undefined>>;
  /** User of the child, a number. Needs the right to change it. Default: ours. */
  uid?: number;
  /** Group of the child, a number. Default: ours. */
  gid?: number;
  /** A session and process group of its own: `process.kill(-pid)` reaches all of it. Default: false. */
  detached?: boolean;
  /** What the child sees as its own name. Default: the program. */
  argv0?: string;
  /** Further descriptors, from 3 on, that the child gets under the same numbers. */
  passFds?: readonly number[];
  /** Must be false: data comes as bytes. */
  universalNewlines?: boolean;
  /** Must be false for `subprocessExec`, true for `subprocessShell`. */
  shell?: boolean;
  /** Must be 0: nothing is buffered. */
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
  factory: () => P,
  program: string,
  args: readonly string[],
  options: SubprocessOptions,
): Future<[SubprocessTransport, P]> {
  checkFunction('protocolFactory', factory);
  checkText('program', program);
  if (program === '') throw outOfRange('program', program, 'the name of a program');
  if (!Array.isArray(args)) throw invalidArgType('args', args, 'an array of strings');
  for (const [index, arg] of args.entries()) checkText(`args[${index}]`, arg);
  return start(loop, factory, targetOf(program, args, options, false), options.signal);
}

/** See `BaseEventLoop.subprocessShell`. */
export function subprocessShell<P extends SubprocessProtocol>(
  loop: Loop,
  factory: () => P,
  command: string,
  options: SubprocessOptions,
): Future<[SubprocessTransport, P]> {
  checkFunction('protocolFactory', factory);
  checkText('command', command);
  return start(loop, factory, targetOf(command, [], options, true), options.signal);
}

function start<P extends SubprocessProtocol>(
  loop: Loop,
  factory: () => P,
  target: SpawnTarget,
  signal: AbortSignal | undefined,
): Future<[SubprocessTransport, P]> {
  checkSupports(loop, 'subprocesses');
  // An aborted signal starts nothing.
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
  return HostOperation.begin(loop, `the start of ${name}`, putAway, (request) => {
    const raw = loop._backend.spawn(target, {
      onSpawn: (child) => request.succeed(child),
      onError: (error) => request.fail(error),
    });
    return () => raw.cancel();
  });
}

/** Nobody has heard of it yet, and nobody will. */
function putAway(child: RawProcess): void {
  killUnwanted(child);
  for (const pipe of child.pipes) pipe?.abort();
}

/** The child runs: its protocol is made and told. If that fails, the child does not go on. */
function attach<P extends SubprocessProtocol>(
  loop: Loop,
  child: RawProcess,
  factory: () => P,
  context: CapturedContext,
  name: string,
): [SubprocessTransport, P] {
  let protocol: P;
  try {
    protocol = makeProtocol(loop, context, factory, SUBPROCESS_PROTOCOL_METHODS);
  } catch (error) {
    putAway(child);
    throw error;
  }
  const transport = new ProcessTransport(loop, child, protocol, context, name);
  const failure = transport._begin();
  if (failure !== null) throw failure;
  return [transport, protocol];
}

/** For reports: a command can be as long as a book. */
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

/** What `subprocess.Popen` has and an event loop cannot have, as asyncio refuses it. */
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
    throw outOfRange('options.cwd', cwd.href, 'a URL of a directory (file:)');
  }
  if (typeof cwd !== 'string') throw invalidArgType('options.cwd', cwd, 'a string or a URL');
  checkText('options.cwd', cwd);
  // Node takes it for none.
  if (cwd === '') throw outOfRange('options.cwd', cwd, 'a directory, not empty');
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

/** What stderr is where it goes where stdout goes. */
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
        "an object whose names are not empty and have no '=' and no null byte",
      );
    }
    checkText(`options.env.${name}`, value);
  }
  return Object.fromEntries(pairs) as Record<string, string>;
}

/** Where the system takes strings they end at a null byte. */
function checkText(name: string, value: unknown): void {
  checkString(name, value);
  if ((value as string).includes('\0')) throw outOfRange(name, value, 'a string without null bytes');
}
