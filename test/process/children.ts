/** Children for tests: a recording protocol, and the system's view of processes and descriptors. */
import { readdirSync, readFileSync } from 'node:fs';
import type {
  BaseEventLoop,
  SubprocessOptions,
  SubprocessProtocol,
  SubprocessTransport,
  Transport,
} from '../../src/index.ts';
import { getRunningLoop, sleep } from '../../src/index.ts';
import { PATIENCE_SECONDS } from '../helpers/patience.ts';
import { Recording } from '../helpers/recording.ts';

/** Without these there is no `/bin/sh`, and no `/proc`. */
export const skipNotLinux: string | false =
  process.platform === 'linux' ? false : 'looks into /proc, which only Linux has';

/**
 * A protocol that records its calls: `made`, `data 1` (in several pieces: once), `lost 2` (a pipe), `exited`,
 * `lost`, `pause`, `resume`.
 */
export class ChildRecorder extends Recording implements SubprocessProtocol {
  /** The received data, by the child's descriptor. */
  readonly chunks: [Buffer[], Buffer[], Buffer[]] = [[], [], []];
  readonly pipeExceptions: Map<number, Error | null> = new Map();
  /** The argument of `connectionLost`; undefined before. */
  exception: Error | null | undefined = undefined;
  #transport: SubprocessTransport | null = null;

  get transport(): SubprocessTransport {
    if (this.#transport === null) throw new Error('no child was started yet');
    return this.#transport;
  }

  connectionMade(transport: SubprocessTransport): void {
    this.#transport = transport;
    this.note('made');
  }

  pipeDataReceived(fd: number, data: Buffer): void {
    (this.chunks[fd] as Buffer[]).push(data);
    const word = `data ${fd}`;
    if (this.log.at(-1) === word) this.log.pop();
    this.note(word);
  }

  pipeConnectionLost(fd: number, exception: Error | null): void {
    this.pipeExceptions.set(fd, exception);
    this.note(`lost ${fd}`);
  }

  processExited(): void {
    this.note('exited');
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.note('lost');
  }

  pauseWriting(): void {
    this.note('pause');
  }

  resumeWriting(): void {
    this.note('resume');
  }

  /** Returns the data of a descriptor as text. */
  text(fd: number): string {
    return Buffer.concat(this.chunks[fd] as Buffer[]).toString();
  }

  bytes(fd: number): number {
    return (this.chunks[fd] as Buffer[]).reduce((sum, chunk) => sum + chunk.length, 0);
  }
}

/** Starts a command of the shell with a recorder. */
export async function startShell(
  loop: BaseEventLoop,
  command: string,
  options: SubprocessOptions = {},
): Promise<ChildRecorder> {
  const [, recorder] = await loop.subprocessShell(() => new ChildRecorder(), command, options);
  return recorder;
}

/** Runs a command of the shell from its beginning to its end. */
export async function runShell(
  loop: BaseEventLoop,
  command: string,
  options: SubprocessOptions = {},
): Promise<ChildRecorder> {
  const recorder = await startShell(loop, command, options);
  await recorder.untilTold('lost');
  return recorder;
}

/** Returns the transport of the child's stdin. */
export function stdinOf(recorder: ChildRecorder): Transport {
  const transport = recorder.transport.getPipeTransport(0);
  if (transport === null) throw new Error('its stdin is no pipe');
  return transport;
}

/** Returns the ids of this process's children, zombies too. */
export function childrenOfOurs(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}

/** Returns the number of open descriptors. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Returns the letter for the state of a process (`R`, `S`, `T`, `Z`), or null if there is none. */
export function stateOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0] ?? null;
  } catch {
    return null;
  }
}

/** Polls until `condition` holds. Processes change their state without an event. */
export async function eventually(
  condition: () => boolean,
  hint: () => unknown = () => condition,
): Promise<void> {
  const loop = getRunningLoop();
  const deadline = loop.time() + PATIENCE_SECONDS;
  while (!condition()) {
    if (loop.time() > deadline) throw new Error(`still not so: ${String(hint())}`);
    await sleep(0.002);
  }
}

/** Does the same as {@link eventually}, while no loop runs. */
export async function eventuallyWithoutLoop(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_SECONDS * 1000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still not so: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Runs `body`, and waits until there are as many children as before, and no more descriptors. */
export async function leavingNothing(body: () => Promise<void>): Promise<void> {
  const children = childrenOfOurs().length;
  // Descriptors of earlier tests may close meanwhile.
  const descriptors = openDescriptors();
  await body();
  await eventually(
    () => childrenOfOurs().length === children && openDescriptors() <= descriptors,
    () =>
      `${children} children, ${descriptors} descriptors before, now ${childrenOfOurs().length} and ${openDescriptors()}`,
  );
}
