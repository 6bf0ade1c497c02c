/**
 * Fills docs/performance.md with the saved figures: whatever stands between `<!-- bench: NAME -->` and
 * `<!-- /bench -->` is written anew. The words around it are written by hand.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compact, ratio, table } from './cells.ts';
import { pictureOf } from './pictures.ts';
import type { Verdict, WorkloadResult } from './ratios.ts';
import { isAtLeast, middle, verdictsOf } from './ratios.ts';
import { ratioCell } from './report.ts';
import type { Saved } from './saved.ts';
import { readSaved, toResults } from './saved.ts';
import type { Section } from './sections.ts';
import { hasRow, labelOf, PORTABLE, SECTIONS } from './sections.ts';
import { svgOf } from './svg.ts';

/** This file runs as bench/results/build/page.js. */
const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs');
const FIGURES = join(DOCS, 'performance');

/** The Node of the pictures and of the long tables, and those of the short ones. */
const LEADING = 26;
const OLDER = [24, 20] as const;
/** A table of an older Node has gyre's figure and its ratios to these. */
const OLDER_PEERS = ['gyre-node', 'libuv', 'uvloop', 'node', 'bun', 'bun-node'];

export function savedFile(nodeMajor: number): string {
  return join(FIGURES, `node-${nodeMajor}.json`);
}

/** Writes the page and the pictures. */
export function writePage(): void {
  const page = join(DOCS, 'performance.md');
  const parts = new Map<string, string>();
  const leading = readSaved(savedFile(LEADING));
  if (leading !== null) addLeading(parts, leading);
  for (const major of OLDER) {
    const saved = readSaved(savedFile(major));
    if (saved === null) continue;
    parts.set(`machine ${major}`, machineOf(saved));
    parts.set(`table ${major}`, olderTable(toResults(saved), major));
  }
  writeFileSync(page, filled(readFileSync(page, 'utf8'), parts));
}

function addLeading(parts: Map<string, string>, saved: Saved): void {
  const results = toResults(saved);
  parts.set('machine', machineOf(saved));
  parts.set('missed', missedTable(results));
  parts.set('portable table', sectionTable(PORTABLE, results));
  mkdirSync(FIGURES, { recursive: true });
  for (const section of SECTIONS) {
    const picture = pictureOf(section, results);
    if (picture === null) continue;
    writeFileSync(join(FIGURES, `${section.name}.svg`), svgOf(picture));
    parts.set(`${section.name} picture`, `![${picture.title}](performance/${section.name}.svg)`);
    parts.set(`${section.name} table`, sectionTable(section, results));
  }
}

/** Returns the text with the parts in their places. A part that was not measured stays as it is. */
export function filled(text: string, parts: ReadonlyMap<string, string>): string {
  return text.replace(
    /(<!-- bench: (.+?) -->\n)[\s\S]*?(<!-- \/bench -->)/g,
    (whole, begin: string, name: string, end: string) => {
      const part = parts.get(name);
      return part === undefined ? whole : `${begin}${part}\n${end}`;
    },
  );
}

/** A row for each workload: gyre's figure, and how many times as fast as each peer it is. */
export function sectionTable(section: Section, results: readonly WorkloadResult[]): string {
  const rows = results.filter(({ workload }) => hasRow(section, workload.name));
  const measured = (peer: string): boolean => rows.some((row) => !Number.isNaN(middleOf(row, peer)));
  const peers = section.peers.filter(measured);
  return table(
    ['', labelOf(section.gyre, section), ...peers.map((peer) => labelOf(peer, section))],
    rows.map((result) => [
      titleOf(result),
      compact(middleOf(result, section.gyre)),
      ...peers.map((peer) => ratioCell(result, section.gyre, peer, LEADING)),
    ]),
  );
}

function olderTable(results: readonly WorkloadResult[], major: number): string {
  const rows = SECTIONS.flatMap((section) =>
    results
      .filter(({ workload }) => hasRow(section, workload.name))
      .map((result) => [
        titleOf(result),
        compact(middleOf(result, section.gyre)),
        ...OLDER_PEERS.map((peer) => ratioCell(result, section.gyre, peer, major)),
      ]),
  );
  const [section] = SECTIONS as readonly [Section, ...Section[]];
  return table(['', 'gyre', ...OLDER_PEERS.map((peer) => labelOf(peer, section))], rows);
}

/** The targets that were not reached. */
export function missedTable(results: readonly WorkloadResult[]): string {
  const missed = results.flatMap((result) =>
    verdictsOf(result, LEADING)
      .filter(({ reached }) => reached === false)
      .map((verdict) => [titleOf(result), askedIn(result, verdict), measuredIn(verdict)]),
  );
  return missed.length === 0 ? 'Every target is reached.' : table(['', 'asked', 'measured'], missed);
}

function askedIn({ workload }: WorkloadResult, { target, asked }: Verdict): string {
  const section = SECTIONS.find((one) => hasRow(one, workload.name)) ?? SECTIONS[0]!;
  const gyre = labelOf(target.gyre, section);
  if (target.kind === 'times')
    return `${gyre}: ${Number(asked.toFixed(2))} of ${labelOf(target.peer!, section)}`;
  if (target.kind === 'more')
    return `at most ${compact(asked)} ${workload.unit} above ${labelOf(target.peer!, section)}`;
  const bound = isAtLeast(workload, target) ? 'at least' : 'at most';
  return `${gyre}: ${bound} ${compact(asked)} ${workload.unit}`;
}

function measuredIn({ target, value }: Verdict): string {
  if (value === null) return '–';
  return target.kind === 'times' ? ratio(value) : compact(value);
}

function titleOf({ workload: { title, unit } }: WorkloadResult): string {
  return `${title}, ${unit.replace(/^us\b/, 'µs')}`;
}

function middleOf(result: WorkloadResult, peer: string): number {
  return middle(result.peers.find((one) => one.peer === peer));
}

/** One sentence: machine, versions, days and rounds. */
function machineOf({ machine, workloads }: Saved): string {
  const peers = Object.values(workloads).flatMap((one) => Object.values(one));
  const versions = [...new Set(peers.map(({ runtime }) => runtime))].sort();
  const days = [...new Set(peers.map(({ measured }) => measured))].sort();
  const rounds = peers.map(({ values }) => values.length);
  const most = Math.max(...rounds);
  const range = (low: string | number, high: string | number): string =>
    low === high ? String(low) : `${low} to ${high}`;
  return (
    `Measured ${range(days[0]!, days.at(-1)!)} on ${machine}, with ${versions.join(', ')}: ` +
    `medians of ${range(Math.min(...rounds), most)} ${most === 1 ? 'round' : 'rounds'}.`
  );
}
