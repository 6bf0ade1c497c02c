/** A program that runs, and the JSON lines that it prints. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Command } from './peers.ts';

/** Long enough for the slowest peer's slowest workload, several times over. */
const TIME_LIMIT_SECONDS = 180;

export class Child {
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param core the one to run on; null: any */
  constructor(command: Command, core: number | null) {
    const [file, args] =
      core === null
        ? [command.file, command.args]
        : ['taskset', ['-c', String(core), command.file, ...command.args]];
    this.#process = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...command.env },
      timeout: TIME_LIMIT_SECONDS * 1000,
      killSignal: 'SIGKILL',
    });
    // A program that ended has its reason on standard error, so a closed input is not reported as well.
    this.#process.stdin?.on('error', () => {});
    this.ended = this.#waitForEnd();
    this.ended.catch(() => {}); // whoever waits for it hears of it
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
    this.pid = this.#process.pid ?? 0;
  }

  async nextLine<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done === true) {
      await this.ended;
      throw new Error('the program printed too little');
    }
    return JSON.parse(value) as T;
  }

  ask(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /** Starts a server, which waits for a line. */
  endInput(): void {
    this.#process.stdin?.end();
  }

  async #waitForEnd(): Promise<void> {
    const [code, signal] = (await once(this.#process, 'close')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) throw new Error(`the program ended with ${signal ?? `status ${code}`}`);
  }
}
