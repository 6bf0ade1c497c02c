/** A program as an async function, and the process as this function sees it. */
import { outOfRange } from '../../../base/validate.ts';
import type { Channel, ChannelEvents } from '../channel.ts';
import type { SimHost } from '../host.ts';
import type { ProcessFacts, SimProcess } from './process.ts';
import { SIGNALS } from './signals.ts';

/** Bytes of one read. */
const READ_BYTES = 65_536;

/** Starts the code of a program. Called as code of the host. It ends the process by `exit()`. */
export type ProgramStart = (process: SimProcess) => void;

/** Returns the exit code, 0 if it returns none. An exception is printed to stderr, and the code is 1. */
export type ProgramMain = (process: ProgramProcess) => PromiseLike<number | void> | number | void;

/** Runs the main function of a program, for example on a loop of its own. */
export type RunMain = (
  main: () => PromiseLike<number | void> | number | void,
  process: SimProcess,
) => PromiseLike<number | void>;

const runHere: RunMain = async (main) => main();

/** Makes a program of an async function. */
export function programOf(main: ProgramMain, run: RunMain = runHere): ProgramStart {
  return (process) => {
    void live(process, main, run);
  };
}

async function live(process: SimProcess, main: ProgramMain, run: RunMain): Promise<void> {
  const face = new ProgramProcess(process);
  let code = 1;
  try {
    const returned = (await run(() => main(face), process)) ?? 0;
    if (!Number.isInteger(returned)) throw outOfRange('exit code', returned, 'an integer');
    code = returned;
  } catch (error) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    // Without a reader it is lost.
    face.stderr.write(`${text}\n`).catch(() => {});
  }
  await face._flushed();
  process.exit(code);
}

/** The process, for its main function. */
export class ProgramProcess {
  /** The number of the process on its host. It is the same in each run of a seed. */
  readonly pid: number;
  /** The name as which the program was started, and its arguments. */
  readonly argv: readonly string[];
  /** The environment that the parent has passed on. */
  readonly env: Readonly<Record<string, string>>;
  /** The working directory. */
  readonly cwd: string;
  /** The user. */
  readonly uid: number;
  /** The group. */
  readonly gid: number;
  /** Descriptors of the host that the parent has passed on. */
  readonly descriptors: readonly number[];
  /** Standard input: read it, or iterate over it. */
  readonly stdin: ProgramInput;
  /** Standard output. */
  readonly stdout: ProgramOutput;
  /** Standard error. With `stderr: STDOUT`, it is the same object as `stdout`. */
  readonly stderr: ProgramOutput;
  readonly #process: SimProcess;

  constructor(process: SimProcess) {
    const { facts, host } = process;
    this.#process = process;
    this.pid = facts.pid;
    this.argv = facts.argv;
    this.env = facts.env;
    this.cwd = facts.cwd;
    this.uid = facts.uid;
    this.gid = facts.gid;
    this.descriptors = facts.descriptors;
    const [stdin, stdout, stderr] = portsOf(host, facts);
    this.stdin = new ProgramInput(stdin);
    this.stdout = new ProgramOutput(stdout);
    this.stderr = stderr === stdout ? this.stdout : new ProgramOutput(stderr);
  }

  /**
   * Calls `handler` at each signal, instead of its default action.
   *
   * @param signal the name or the number
   * @returns a function that removes the handler
   */
  onSignal(signal: string | number, handler: () => void): () => void {
    const signum = typeof signal === 'number' ? signal : SIGNALS[signal];
    if (signum === undefined) throw outOfRange('signal', signal, 'the name of a signal, such as SIGTERM');
    const request = this.#process.signals.handle(signum, handler);
    return () => request.cancel();
  }

  /** Ends the process at once. Output that its pipes have not accepted is lost. */
  exit(code: number = 0): void {
    this.#process.exit(code);
  }

  /** Waits for the output. @internal */
  async _flushed(): Promise<void> {
    await this.stdout._flushed();
    await this.stderr._flushed();
  }
}

/** Standard streams that are the same channel share a port. */
function portsOf(host: SimHost, { stdio }: ProcessFacts): [ChannelPort, ChannelPort, ChannelPort] {
  const ports = new Map<Channel, ChannelPort>();
  const portOf = (index: number): ChannelPort => {
    const { channel } = stdio[index] as { channel: Channel };
    const present = ports.get(channel) ?? new ChannelPort(host, channel);
    ports.set(channel, present);
    return present;
  };
  return [portOf(0), portOf(1), portOf(2)];
}

/** Lets code wait for a channel. Its promises settle in a step of the host, so a paused host waits. */
class ChannelPort implements ChannelEvents {
  readonly channel: Channel;
  readonly #host: SimHost;
  #waiting: (() => void)[] = [];
  #scheduled: boolean = false;

  constructor(host: SimHost, channel: Channel) {
    this.#host = host;
    this.channel = channel;
    channel.events = this;
  }

  /** Waits until something has changed. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  onReadable(): void {
    this.#schedule();
  }

  onWritable(): void {
    this.#schedule();
  }

  onError(): void {
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#host.soon(() => {
      this.#scheduled = false;
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }
}

/** Standard input: iterate over it, or read from it. */
export class ProgramInput implements AsyncIterable<Buffer> {
  readonly #port: ChannelPort;

  /** @internal */
  constructor(port: ChannelPort) {
    this.#port = port;
  }

  /** Returns the next data, or null at the end. */
  async read(): Promise<Buffer | null> {
    const { channel } = this.#port;
    for (;;) {
      const data = channel.read(READ_BYTES);
      if (data !== null) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      if (channel.error !== null) throw channel.error;
      if (channel.ended) return null;
      await this.#port.changed();
    }
  }

  /** Returns everything up to the end, as text. */
  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  /** Iterates over the data until the end. */
  async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
    for (let data = await this.read(); data !== null; data = await this.read()) yield data;
  }
}

/** Standard output, or standard error. */
export class ProgramOutput {
  readonly #port: ChannelPort;
  /** The last write. The next one waits for it. */
  #last: Promise<void> = Promise.resolve();

  /** @internal */
  constructor(port: ChannelPort) {
    this.#port = port;
  }

  /** Writes data. The promise resolves when the stream has accepted it, and rejects with `EPIPE`. */
  write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : new Uint8Array(data);
    const writing = this.#last.then(() => this.#write(bytes));
    this.#last = writing.catch(() => {});
    return writing;
  }

  /** Ends the stream, after the data that was written. */
  end(): Promise<void> {
    this.#last = this.#last.then(() => this.#port.channel.shutdownWrite());
    return this.#last;
  }

  /** @internal */
  _flushed(): Promise<void> {
    return this.#last;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { channel } = this.#port;
    for (let offset = 0; offset < bytes.length; ) {
      const count = channel.write(bytes.subarray(offset));
      offset += count;
      if (count === 0) await this.#port.changed();
    }
  }
}
