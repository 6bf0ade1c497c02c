/** An example as a user runs it: a process of its own. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { loaderOptions } from '../helpers/typescript.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export class Program {
  /** Its output, including errors. */
  output: string = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  constructor(name: string, ...args: string[]) {
    const program = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
    this.#child = spawn(process.execPath, [...loaderOptions, program, ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A free port, for examples that read it from the environment.
      env: { ...process.env, PORT: '0' },
    });
    this.#closed = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (data) => {
        this.output += String(data);
      });
    }
  }

  /** Waits until its output matches. */
  async untilSaid(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match;
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null) throw new Error(`it ended:\n${this.output}`);
      await new Promise((resolve) => {
        this.#child.stdout?.once('data', resolve);
        this.#child.stderr?.once('data', resolve);
        this.#child.once('close', resolve);
      });
    }
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Waits for its end, and returns its exit code or signal. */
  async ended(): Promise<unknown> {
    const [code, signal] = await this.#closed;
    return signal ?? code;
  }

  /** Kills it. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Runs `body` with the example, which is killed afterwards, however the test ended. */
export async function withProgram(
  command: [name: string, ...args: string[]],
  body: (program: Program) => Promise<void>,
): Promise<void> {
  const program = new Program(...command);
  try {
    await body(program);
  } finally {
    program.kill();
    await program.ended();
  }
}
