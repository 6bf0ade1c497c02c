/**
 * The schedules that have failed, in a file beside the test: `.gyre/seeds/<name of the test file>.txt`. Each
 * line has the environment variables that run one again. A search tries them first, and takes out those that
 * pass.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Decision } from './decisions.ts';
import { parseSchedule } from './decisions.ts';
import { replayVariables } from './report.ts';

export interface KeptSchedule {
  readonly seed: number;
  readonly decisions: readonly Decision[];
  /** The line of the file. */
  readonly line: string;
}

const LINE = /^GYRE_SEED=(\d+) GYRE_SCHEDULE=(\S+)$/;

export class KeptSeeds {
  readonly #path: string | null;
  readonly #name: string;

  /**
   * @param file the test file, or null: nothing is kept
   * @param name of the search: the searches of one file share the file of schedules
   */
  constructor(file: string | null, name: string) {
    this.#name = name;
    this.#path =
      file === null ? null : path.join(path.dirname(file), '.gyre', 'seeds', `${path.basename(file)}.txt`);
  }

  /** Returns the schedules of this search. Lines that cannot be read stay in the file and are left out. */
  read(): KeptSchedule[] {
    return this.#lines().flatMap((line) => {
      const [, seed, text] = LINE.exec(line) ?? [];
      const schedule = text === undefined ? null : parseSchedule(text);
      if (schedule === null || schedule.name !== this.#name) return [];
      return [{ seed: Number(seed), decisions: schedule.decisions, line }];
    });
  }

  /**
   * Adds a schedule.
   *
   * @returns the path of the file, the reason why it cannot be written, or null if nothing is kept
   */
  keep(seed: number, schedule: string): { readonly path: string; readonly error: Error | null } | null {
    if (this.#path === null) return null;
    const line = replayVariables(seed, schedule);
    const lines = this.#lines();
    try {
      if (!lines.includes(line)) this.#write([...lines, line]);
      return { path: this.#path, error: null };
    } catch (error) {
      return { path: this.#path, error: error as Error };
    }
  }

  /** Takes out a schedule that passes. */
  remove({ line }: KeptSchedule): void {
    this.#write(this.#lines().filter((one) => one !== line));
  }

  #lines(): string[] {
    if (this.#path === null) return [];
    try {
      return readFileSync(this.#path, 'utf8').split('\n').filter(Boolean);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') return [];
      throw error;
    }
  }

  #write(lines: readonly string[]): void {
    const file = this.#path as string;
    if (lines.length === 0) {
      rmSync(file, { force: true });
      return;
    }
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${lines.join('\n')}\n`);
  }
}
