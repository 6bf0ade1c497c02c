/** How many of many programs went the same way, and how those differ that did not. */
import type { Comparison, Verdict } from './compare.ts';
import { firstDifference } from './compare.ts';

/** So many seeds or kinds of difference are named. */
const NAMED = 10;

export class Summary {
  /** Those that went the same way are only counted. */
  readonly #different: Comparison[] = [];
  #total: number = 0;

  add(comparisons: readonly Comparison[]): void {
    this.#total += comparisons.length;
    for (const comparison of comparisons) {
      if (comparison.verdict !== 'same') this.#different.push(comparison);
    }
  }

  count(verdict: Verdict): number {
    return verdict === 'same' ? this.#total - this.#different.length : this.#of(verdict).length;
  }

  /** The part of the programs with the same outcomes and times, from 0 to 1. */
  sameOutcome(): number {
    return (this.count('same') + this.count('order')) / this.#compared();
  }

  /** The part of those that have the same log as well. */
  sameOrder(): number {
    return this.count('same') / this.#compared();
  }

  text(): string {
    const compared = this.#compared();
    const line = (what: string, number: number): string =>
      `${what}${number} of ${compared}  ${((100 * number) / compared).toFixed(2)} %`;
    return [
      line('same outcome and time  ', this.count('same') + this.count('order')),
      line('and the same order     ', this.count('same')),
      ...this.#apart(),
      ...this.#failed(),
      ...this.#kinds('outcome'),
      ...this.#kinds('order'),
    ].join('\n');
  }

  #compared(): number {
    return this.#total - this.count('apart');
  }

  #of(verdict: Verdict): Comparison[] {
    return this.#different.filter((one) => one.verdict === verdict);
  }

  #apart(): string[] {
    const seeds = new Map<string, number[]>();
    for (const { program, asyncio } of this.#of('apart')) {
      const reasons = 'apart' in asyncio ? (asyncio.apart ?? []).join('; ') : '';
      seeds.set(reasons, [...(seeds.get(reasons) ?? []), program.seed]);
    }
    return [...seeds].map(([reason, of]) => `set apart: ${of.length}, ${reason}; seeds ${some(of)}`);
  }

  #failed(): string[] {
    return this.#of('failed').flatMap(({ asyncio, gyre }) =>
      [asyncio, gyre].flatMap((run) =>
        'failure' in run ? [`failed: seed ${run.seed}, ${run.failure.trim()}`] : [],
      ),
    );
  }

  /** Groups those that differ by the statements of the first lines that do. */
  #kinds(verdict: 'outcome' | 'order'): string[] {
    const kinds = new Map<string, number[]>();
    for (const { program, asyncio, gyre } of this.#of(verdict)) {
      if ('failure' in asyncio || 'failure' in gyre) continue;
      const first = firstDifference(asyncio, gyre);
      const kind = `${withoutNames(first.asyncio)} | ${withoutNames(first.gyre)}`;
      kinds.set(kind, [...(kinds.get(kind) ?? []), program.seed]);
    }
    if (kinds.size === 0) return [];
    const common = [...kinds].sort(([, a], [, b]) => b.length - a.length);
    return [
      `other ${verdict}: ${this.count(verdict)}; by the first line that differs (asyncio | gyre):`,
      ...common
        .slice(0, NAMED)
        .map(([kind, seeds]) => `${String(seeds.length).padStart(6)}  ${kind}  seeds ${some(seeds)}`),
    ];
  }
}

function some(seeds: readonly number[]): string {
  return seeds.slice(0, NAMED).join(' ');
}

/** The statement and how it ended: with names and numbers, each line would be a kind of its own. */
function withoutNames(line: string): string {
  const [, , ...rest] = line.split(' ');
  const text = rest.filter((word) => !/^\d+$/.test(word)).join(' ');
  return text.replace(/\b([TFE])\d+(#\d+)?/g, '$1').replace(/\d+/g, 'n') || 'the end';
}
