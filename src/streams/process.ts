/** `createSubprocessExec` and `createSubprocessShell`: a child process with readers and a writer. */

import { LoopError } from '../base/errors.ts';
import { showInOneLine } from '../base/one-line.ts';
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
   * `'inherit'` (default, as in asyncio), `PIPE`, `DEVNULL`, a file descriptor, or an object with a
   * descriptor: a stream of Node or a `FileHandle`.
   */
  stdin?: SubprocessStdio;
  /** As `stdin`. */
  stdout?: SubprocessStdio;
  /** As `stdin`; or `STDOUT` for the destination of stdout. */
  stderr?: SubprocessStdio;
  /** Bytes: the longest line or record, as for `StreamReader`. Default: 64 KiB. */
  limit?: number;
}

/**
 * Starts a program. Returns a process, with a writer for its stdin and readers for its stdout and stderr, as
 * far as these are `PIPE`.
 *
 * @param program a path, or a name to look up in `PATH`; with `env`, in the `PATH` of `env`
 * @param args the arguments without the program's own name; no shell sees them
 * @param options those of `loop.subprocessExec`, but the default of stdin, stdout and stderr is `'inherit'`;
 *   `limit` in bytes; `signal` cancels the start, and has no effect on a child that runs
 * @throws the system's error (`ENOENT`, `EACCES`, `EMFILE`) with `syscall` and `path`; TypeError, RangeError;
 *   LoopError `ERR_NO_RUNNING_LOOP`, `ERR_UNSUPPORTED`
 *
 * **Cancellation** of the start kills a child that runs already, and releases all its resources.
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
 * Runs a command of the system's shell (`/bin/sh -c`), as {@link createSubprocessExec} does for a program.
 * Quote untrusted input for the shell, or pass it in the environment. Without need of a shell, prefer
 * `createSubprocessExec`.
 *
 * @param command the command for the shell
 * @param options those of {@link createSubprocessExec}
 * @throws as {@link createSubprocessExec}. A program that the shell does not find is no error, but the return
 *   code 127
 *
 * **Cancellation** kills the shell. Programs that it has started go on (see `detached`).
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
 * A child process.
 *
 * - `createSubprocessExec()` and `createSubprocessShell()` make processes.
 * - A child that fills a pipe blocks until its data is read. Use `communicate()`, or read both `stdout` and
 *   `stderr`.
 * - After the process has ended, no signal is sent to its id any more: the id may belong to another process.
 * - `loop.close()` kills the children that still run, and reports them.
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
  /** The writer for stdin; null if stdin is no pipe. */
  readonly stdin: StreamWriter | null;
  /** The reader for stdout; null if stdout is no pipe. */
  readonly stdout: StreamReader | null;
  /** The reader for stderr; null if stderr is no pipe. */
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

  /** The exit code, the negative number of the signal that ended the process, or null while it runs. */
  get returncode(): number | null {
    return this.#transport.getReturncode();
  }

  /**
   * Waits until the process has ended, and returns its return code. Several tasks may wait at the same time.
   * Output may still be unread then, and a grandchild may still have the pipes open.
   *
   * @param options `signal` cancels the wait
   *
   * **Cancellation** ends the wait, and leaves the process running.
   */
  wait(options?: SignalOptions): Future<number> {
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    return cancelOnAbort(this.#transport._wait(), signal);
  }

  /**
   * Writes `input` to stdin and closes it, reads stdout and stderr to their ends, and waits until the process
   * has ended.
   *
   * A child that ends, or closes its stdin, before it has read everything is no error. If a grandchild has
   * the pipes open, this waits for it as well.
   *
   * @param input the data for stdin: a string (UTF-8), bytes, or null for none
   * @param options `signal` cancels the wait
   * @returns the output of stdout and stderr; null for each that is no pipe
   * @throws TypeError if there is input, but stdin is no pipe; the error of a read or a write
   *
   * **Cancellation** leaves the process running. Its output up to then can still be read.
   */
  communicate(
    input: string | Uint8Array | null = null,
    options?: SignalOptions,
  ): Future<[stdout: Buffer | null, stderr: Buffer | null]> {
    if (input !== null) {
      checkData('input', input);
      if (this.stdin === null)
        throw invalidArgType('input', input, 'null, because the stdin of the process is no pipe');
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
   * Sends a signal to the process, by name or number. Does nothing once the process has ended.
   *
   * @throws RangeError for an unknown signal; TypeError
   */
  sendSignal(signal: string | number): void {
    this.#transport.sendSignal(signal);
  }

  /** Sends `SIGTERM`: asks the process to end. Does nothing once it has ended. */
  terminate(): void {
    this.#transport.terminate();
  }

  /** Sends `SIGKILL`: ends the process. Does nothing once it has ended. */
  kill(): void {
    this.#transport.kill();
  }

  /** Kills the process if it still runs, closes its pipes, and waits until it is reaped: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  /** @internal */
  _facts(): string {
    return this.#transport._facts();
  }

  /** @internal */
  _more(): Record<string, unknown> {
    return { stdin: this.stdin, stdout: this.stdout, stderr: this.stderr };
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

showInOneLine(Process);

/** Whether the child has closed its stdin. It may do so before it has read all input. */
function isReaderGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return (
    code === 'EPIPE' ||
    code === 'ECONNRESET' ||
    (error instanceof LoopError && error.code === 'ERR_TRANSPORT_CLOSED')
  );
}

/** Connects a subprocess transport with the readers and the writer. */
class ProcessProtocol implements SubprocessProtocol {
  readonly _loop: Loop;
  stdin: StreamWriter | null = null;
  /** The readers, by the child's descriptor. */
  readonly readers: [null, StreamReader | null, StreamReader | null] = [null, null, null];
  readonly #limit: { limit?: number };
  /** The protocol of stdin, in which `drain()` waits. */
  #input: StreamReaderProtocol | null = null;
  /** The output pipes that have not ended. */
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

  /**
   * Closes the transport when the process has exited and its output has ended, even if a grandchild has stdin
   * open.
   */
  #closeIfDone(): void {
    if (this.#exited && this.#open.size === 0) this.#transport?.close();
  }
}
