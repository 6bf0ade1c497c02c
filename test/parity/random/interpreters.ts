/** The two processes that run random programs, and the watch over them. */
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tsArguments } from '../../helpers/typescript.ts';
import type { Failed, Program, Run } from './program.ts';

/**
 * A program takes milliseconds, and a process a second to begin. A process that writes nothing for so long
 * hangs.
 */
const SILENCE_SECONDS = 60;

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** How to start an interpreter. */
export interface Command {
  file: string;
  args: readonly string[];
}

export const gyre: Command = { file: process.execPath, args: tsArguments(fileOf('run-on-gyre.ts')) };

/**
 * The order of timers with the same deadline on asyncio: as on gyre, or by the accident of CPython's heap.
 */
export type Ties = 'scheduled' | 'as-cpython';

/** Without `-B`, Python would write its bytecode beside the sources. */
export function asyncio(python: string, ties: Ties): Command {
  return { file: python, args: ['-B', fileOf('run_on_asyncio.py'), ties] };
}

/**
 * A process that runs programs one after another. After a program that ends it, the next one gets a fresh
 * process.
 */
export class Interpreter {
  readonly #command: Command;
  readonly #silenceSeconds: number;
  #child: ChildProcess | null = null;
  #lines: AsyncIterator<string> | null = null;
  /** Until then it may say more about how it died. */
  #ended: Promise<void> = Promise.resolve();
  #errors: string = '';

  constructor(command: Command, silenceSeconds: number = SILENCE_SECONDS) {
    this.#command = command;
    this.#silenceSeconds = silenceSeconds;
  }

  /** One run a program, in order. */
  async run(programs: readonly Program[]): Promise<(Run | Failed)[]> {
    const runs: (Run | Failed)[] = [];
    while (runs.length < programs.length) await this.#runRest(programs, runs);
    return runs;
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = null;
    this.#lines = null;
  }

  /** Until all have run, or one has ended the process. */
  async #runRest(programs: readonly Program[], runs: (Run | Failed)[]): Promise<void> {
    const child = this.#start();
    const lines = this.#lines as AsyncIterator<string>;
    const rest = programs.slice(runs.length);
    child.stdin?.write(rest.map((program) => `${JSON.stringify(program)}\n`).join(''));
    for (const { seed } of rest) {
      let hangs = false;
      // biome-ignore lint/style/noRestrictedGlobals: a process that hangs has no other clock
      const watch = setTimeout(() => {
        hangs = true;
        child.kill('SIGKILL');
      }, this.#silenceSeconds * 1000);
      const line = await lines.next();
      clearTimeout(watch);
      if (line.done === true) {
        await this.#ended;
        const failure = hangs ? `no end after ${this.#silenceSeconds} seconds` : 'the interpreter died';
        runs.push({ seed, failure: `${failure}: ${this.#command.file}\n${this.#errors}` });
        this.close();
        return;
      }
      runs.push(JSON.parse(line.value) as Run);
    }
  }

  #start(): ChildProcess {
    if (this.#child !== null) return this.#child;
    const child = spawn(this.#command.file, this.#command.args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    // A process that dies does not read the rest.
    child.stdin.on('error', () => {});
    child.on('error', (error) => {
      this.#errors += error.message;
    });
    const reader = createInterface({ input: child.stdout });
    this.#ended = new Promise((resolve) => {
      child.on('close', () => {
        // A process that could not be started never ends its output.
        reader.close();
        resolve();
      });
    });
    this.#child = child;
    this.#lines = reader[Symbol.asyncIterator]();
    return child;
  }
}

/** A CPython that has the semantics that gyre is compared with: 3.13 or newer. */
export interface Python {
  file: string;
  version: string;
}

const OLDEST_MINOR = 13;
const VERSION = 'import platform, sys; print(platform.python_implementation(), platform.python_version())';

/** The first that is found on the PATH or among pyenv's, or null. */
export function findPython(): Python | null {
  for (const file of candidates()) {
    const { status, stdout } = spawnSync(file, ['-c', VERSION], { encoding: 'utf8' });
    const [implementation, version = ''] = (stdout ?? '').trim().split(' ');
    const [major, minor] = version.split('.').map(Number);
    if (status === 0 && implementation === 'CPython' && major === 3 && (minor as number) >= OLDEST_MINOR) {
      return { file, version };
    }
  }
  return null;
}

function candidates(): string[] {
  const minors = [16, 15, 14, 13];
  const versions = path.join(homedir(), '.pyenv', 'versions');
  const installed = existsSync(versions) ? readdirSync(versions).sort().reverse() : [];
  return [
    ...minors.map((minor) => `python3.${minor}`),
    'python3',
    ...installed
      .filter((version) => /^3\.(1[3-9]|[2-9]\d)/.test(version))
      .map((version) => path.join(versions, version, 'bin', 'python3')),
  ];
}
