/** `createSubprocessExec` and `createSubprocessShell`: a child process with readers and a writer. */
import { LoopError } from '../base/errors.ts';
import { checkData, checkOptions, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SubprocessProtocol } from '../net/protocol.ts';
import type { SubprocessTransport } from '../net/transport.ts';
import type { SubprocessOptions, SubprocessStdio } from '../process/spawn.ts';
import { SUBPROCESS_OPTIONS, subprocessExec, subprocessShell } from '../process/spawn.ts';
import type { ProcessTransport } from '../process/subprocess-transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { gather } from '../tasks/gather.ts';
import { operation } from '../tasks/operation.ts';
import { aborted, signalOf } from '../tasks/settled.ts';
import { checkLimit, StreamReader } from './reader.ts';
import { StreamReaderProtocol } from './stream-protocol.ts';
import { StreamWriter } from './writer.ts';

/** The options of `loop.subprocessExec`, and `limit`. */
export interface CreateSubprocessOptions extends SubprocessOptions {
  /**
   * `'inherit'` (default, as in asyncio), `PIPE`, `DEVNULL`, a descriptor, or a stream of Node's or a
   * `FileHandle` that has one.
   */
  stdin?: SubprocessStdio;
  /** As `stdin`. */
  stdout?: SubprocessStdio;
  /** As `stdin`; or `STDOUT`: where stdout goes. */
  stderr?: SubprocessStdio;
  /** Bytes: the longest line or record a reader takes, and half of what it buffers. Default: 64 KiB. */
  limit?: number;
}

/**
 * Starts a program, and answers it with a writer for its stdin and readers for its stdout and stderr, where
 * these are `PIPE`.
 *
 * @param program a path, or a name that is looked up in `PATH`: the child's, where `env` is given
 * @param args without the program's own name; they pass through no shell
 * @param options those of `loop.subprocessExec`, but stdin, stdout and stderr are `'inherit'` unless given;
 *   `limit` in bytes; `signal` cancels the start, and has no effect on a child that runs
 * @throws the system's error (`ENOENT`, `EACCES`, `EMFILE`), with `syscall` and `path`; TypeError,
 *   RangeError; LoopError `ERR_NO_RUNNING_LOOP`, `ERR_UNSUPPORTED`
 *
 * **Cancellation** of the start kills a child that runs already; nothing is left of it.
 *
 * **Backends** see `loop.subprocessExec`.
 *
 * @example
 * ```ts
 * import { createSubprocessExec, PIPE, run } from 'gyre';
 *
 * await run(async () => {
 *   const child = await createSubprocessExec('tr', ['a-z', 'A-Z'], { stdin: PIPE, stdout: PIPE });
 *   const [output] = await child.communicate('Hello World');
 *   console.log(output?.toString(), child.returncode); // HELLO WORLD 0
 * });
 * ```
 */
export function createSubprocessExec(
  program: string,
  args: readonly string[] = [],
  options: CreateSubprocessOptions = {},
): Future<Process> {
  return create(options, (loop, factory, rest) => subprocessExec(loop, factory, program, args, rest));
}

/**
 * As {@link createSubprocessExec}, for a command of the system's shell (`/bin/sh -c`). What comes from
 * outside must be quoted for it, or passed by the environment; without need of a shell, prefer
 * `createSubprocessExec`.
 *
 * @param command for the shell
 * @param options those of {@link createSubprocessExec}
 * @throws as {@link createSubprocessExec}; a program that the shell does not find is its return code 127
 *
 * **Cancellation** kills the shell; what it had started goes on (see `detached`).
 *
 * @example
 * ```ts
 * import { createSubprocessShell, PIPE, run } from 'gyre';
 *
 * await run(async () => {
 *   await using child = await createSubprocessShell('echo "$WORD" | tr a-z A-Z; exit 3', {
 *     stdout: PIPE,
 *     env: { PATH: process.env.PATH, WORD: 'hello' },
 *   });
 *   for await (const line of child.stdout!.lines()) console.log(line.toString().trim()); // HELLO
 *   console.log(await child.wait()); // 3
 * });
 * ```
 */
export function createSubprocessShell(
  command: string,
  options: CreateSubprocessOptions = {},
): Future<Process> {
  return create(options, (loop, factory, rest) => subprocessShell(loop, factory, command, rest));
}

function create(
  options: CreateSubprocessOptions,
  spawn: (
    loop: Loop,
    factory: () => ProcessProtocol,
    options: SubprocessOptions,
  ) => Future<[SubprocessTransport, ProcessProtocol]>,
): Future<Process> {
  checkOptions('options', options, [...SUBPROCESS_OPTIONS, 'limit']);
  const { limit, signal, stdin = 'inherit', stdout = 'inherit', stderr = 'inherit', ...rest } = options;
  checkLimit('options.limit', limit);
  const loop = runningLoop();
  const factory = (): ProcessProtocol => new ProcessProtocol(loop, limit);
  const all = { ...rest, stdin, stdout, stderr, ...(signal === undefined ? {} : { signal }) };
  const starting = spawn(loop, factory, all);
  return operation(loop, 'createSubprocess', async () => {
    const [transport, protocol] = await starting;
    return new Process(transport as ProcessTransport, protocol);
  });
}

/**
 * A child process: wait for it, talk to it, end it.
 *
 * - `createSubprocessExec()` and `createSubprocessShell()` make it.
 * - A child that fills a pipe that nobody reads waits for ever: `communicate()` reads, or read both `stdout`
 *   and `stderr`.
 * - After its end, nothing is sent to its id any more: that may be another's.
 * - A loop that is closed kills the children that it has left, and names them.
 *
 * @example
 * ```ts
 * import { createSubprocessExec, PIPE, run } from 'gyre';
 *
 * await run(async () => {
 *   await using cat = await createSubprocessExec('cat', [], { stdin: PIPE, stdout: PIPE });
 *   cat.stdin!.write('first\n');
 *   console.log((await cat.stdout!.readline()).toString().trim()); // first
 *   cat.terminate();
 *   console.log(await cat.wait()); // -15
 * });
 * ```
 */
export class Process implements AsyncDisposable {
  /** The id of the process. */
  readonly pid: number;
  /** Writes to its stdin; null when that is no pipe. */
  readonly stdin: StreamWriter | null;
  /** Reads its stdout; null when that is no pipe. */
  readonly stdout: StreamReader | null;
  /** Reads its stderr; null when that is no pipe. */
  readonly stderr: StreamReader | null;
  readonly #loop: Loop;
  readonly #transport: ProcessTransport;

  /** Use `createSubprocessExec()` or `createSubprocessShell()`. @internal */
  constructor(transport: ProcessTransport, protocol: ProcessProtocol) {
    this.pid = transport.getPid();
    this.stdin = protocol.stdin;
    this.stdout = protocol.readers[1];
    this.stderr = protocol.readers[2];
    this.#loop = protocol._loop;
    this.#transport = transport;
  }

  /** What it returned; the negative number of the signal that ended it; null while it runs. */
  get returncode(): number | null {
    return this.#transport.getReturncode();
  }

  /**
   * Waits until the process has ended, and answers its return code. Any number may wait. What it wrote may
   * not have been read then; and a grandchild may have its pipes still.
   *
   * @param options `signal` to cancel it
   *
   * **Cancellation** ends the wait and leaves the process alone.
   */
  wait(options?: SignalOptions): Future<number> {
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    return cancelOnAbort(this.#transport._wait(), signal);
  }

  /**
   * Writes `input` to its stdin and closes that, reads stdout and stderr until their ends, and waits until it
   * has ended.
   *
   * A child that ends or closes its stdin before it has read everything is no error. A grandchild that has
   * the pipes is waited for.
   *
   * @param input for its stdin: a string (UTF-8), bytes, or null for none
   * @param options `signal` to cancel it
   * @returns what it wrote to stdout and stderr: null where that is no pipe
   * @throws TypeError when there is input and no stdin; what reading or writing failed with
   *
   * **Cancellation** leaves the process alone; what it had written is still there to be read.
   */
  communicate(
    input: string | Uint8Array | null = null,
    options?: SignalOptions,
  ): Future<[stdout: Buffer | null, stderr: Buffer | null]> {
    if (input !== null) {
      checkData('input', input);
      if (this.stdin === null)
        throw invalidArgType('input', input, 'null: the stdin of the process is no pipe');
    }
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    return cancelOnAbort(
      operation(this.#loop, 'communicate', async () => {
        const [, stdout, stderr] = await gather(this.#feed(input), this.#readAll(1), this.#readAll(2));
        await this.#transport._wait();
        return [stdout, stderr] as [Buffer | null, Buffer | null];
      }),
      signal,
    );
  }

  /**
   * Sends it a signal, by name or number. Does nothing once it has ended.
   *
   * @throws RangeError for what is no signal; TypeError
   */
  sendSignal(signal: string | number): void {
    this.#transport.sendSignal(signal);
  }

  /** Asks it to end: `SIGTERM`. Does nothing once it has ended. */
  terminate(): void {
    this.#transport.terminate();
  }

  /** Ends it: `SIGKILL`. Does nothing once it has ended. */
  kill(): void {
    this.#transport.kill();
  }

  /** Kills it if it still runs, closes its pipes, and waits until it was reaped: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  #feed(input: string | Uint8Array | null): Future<void> {
    return operation(this.#loop, 'communicate: stdin', async () => {
      const stdin = this.stdin;
      if (stdin === null) return;
      if (input !== null && !stdin.isClosing()) {
        stdin.write(input);
        try {
          await stdin.drain();
        } catch (error) {
          if (!isReaderGone(error)) throw error;
        }
      }
      stdin.close();
    });
  }

  #readAll(fd: 1 | 2): Future<Buffer | null> {
    return operation(this.#loop, `communicate: ${fd === 1 ? 'stdout' : 'stderr'}`, async () => {
      const reader = fd === 1 ? this.stdout : this.stderr;
      if (reader === null) return null;
      return await reader.read();
    });
  }
}

/** The child wants no more input: that is its own affair. */
function isReaderGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return (
    code === 'EPIPE' ||
    code === 'ECONNRESET' ||
    (error instanceof LoopError && error.code === 'ERR_TRANSPORT_CLOSED')
  );
}

/** Between a subprocess transport, the readers and the writer. */
class ProcessProtocol implements SubprocessProtocol {
  readonly _loop: Loop;
  stdin: StreamWriter | null = null;
  /** By the child's descriptor. */
  readonly readers: [null, StreamReader | null, StreamReader | null] = [null, null, null];
  readonly #limit: { limit?: number };
  /** Of stdin: who drains waits there. */
  #input: StreamReaderProtocol | null = null;
  /** The pipes that are read and have not ended. */
  readonly #open: Set<number> = new Set();
  #transport: SubprocessTransport | null = null;
  #exited: boolean = false;

  constructor(loop: Loop, limit: number | undefined) {
    this._loop = loop;
    this.#limit = limit === undefined ? {} : { limit };
  }

  connectionMade(transport: SubprocessTransport): void {
    this.#transport = transport;
    const input = transport.getPipeTransport(0);
    if (input !== null) {
      this.#input = new StreamReaderProtocol(new StreamReader({ loop: this._loop }));
      this.#input.connectionMade(input);
      this.stdin = new StreamWriter(input, this.#input);
    }
    for (const fd of [1, 2] as const) {
      const output = transport.getPipeTransport(fd);
      if (output === null) continue;
      const reader = new StreamReader({ ...this.#limit, loop: this._loop });
      reader._setTransport(output);
      this.readers[fd] = reader;
      this.#open.add(fd);
    }
  }

  pipeDataReceived(fd: number, data: Buffer): void {
    this.readers[fd]?._feed(data);
  }

  pauseWriting(): void {
    this.#input?.pauseWriting();
  }

  resumeWriting(): void {
    this.#input?.resumeWriting();
  }

  pipeConnectionLost(fd: number, exception: Error | null): void {
    if (fd === 0) {
      this.#input?.connectionLost(exception);
      this.#input = null;
      return;
    }
    const reader = this.readers[fd] as StreamReader;
    reader._setTransport(null);
    if (exception === null) reader.feedEof();
    else reader.setException(exception);
    this.#open.delete(fd);
    this.#closeIfDone();
  }

  processExited(): void {
    this.#exited = true;
    this.#closeIfDone();
  }

  /** Nothing more can come from it: whoever still has its stdin reads no more from us. */
  #closeIfDone(): void {
    if (this.#exited && this.#open.size === 0) this.#transport?.close();
  }
}
