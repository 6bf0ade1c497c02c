/** The world of a round, which its participants share: the loop, chance, the file to send, the faults. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BaseEventLoop } from '../../../src/index.ts';
import { Chance } from '../../helpers/chance.ts';
import { fileContent } from './content.ts';

/** Bytes. The longest piece of the file that is sent at once. */
export const MOST_FILE_BYTES = 600_000;

/** The error that a program throws on purpose. */
export class Planned extends Error {
  constructor() {
    super('planned');
  }
}

/** A wrong behaviour of gyre. The first fault ends the run. */
export class Fault extends Error {
  override readonly name = 'Fault';
}

export class World {
  readonly loop: BaseEventLoop;
  readonly seed: number;
  readonly chance: Chance;
  readonly directory: string = mkdtempSync(join(tmpdir(), 'gyre-fuzz-'));
  readonly file: string = join(this.directory, 'file');
  /** How often each event happened, for the summary. */
  readonly seen: Map<string, number> = new Map();
  /** Memory that was transferred after write(). Node may still send from it, so nothing else may use it. */
  readonly givenAway: unknown[] = [];
  /** The participants begin nothing new. */
  over: boolean = false;
  #serial: number = 0;

  constructor(loop: BaseEventLoop, seed: number) {
    this.loop = loop;
    this.seed = seed;
    this.chance = new Chance(seed);
    // A fault ends the process in the middle of a round.
    process.once('exit', this.remove);
    writeFileSync(this.file, fileContent(MOST_FILE_BYTES));
  }

  /** Returns a number that no other participant has. */
  serial(): number {
    return ++this.#serial;
  }

  /**
   * Returns a generator for one participant: its decisions do not depend on the order in which others decide.
   */
  chanceOf(serial: number): Chance {
    return new Chance(this.seed * 4099 + serial);
  }

  saw(event: string): void {
    this.seen.set(event, (this.seen.get(event) ?? 0) + 1);
  }

  remove = (): void => {
    process.off('exit', this.remove);
    rmSync(this.directory, { recursive: true, force: true });
  };
}
