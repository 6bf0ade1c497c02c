/**
 * The figures of `docs/performance.md`: a file for each Node, into which each run with `--save` puts the
 * workloads and peers that it has measured.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { WORKLOADS } from './list.ts';
import { median } from './measure.ts';
import type { PeerResult, WorkloadResult } from './ratios.ts';

interface SavedPeer {
  measured: string;
  runtime: string;
  /** One for each round. */
  values: number[];
  /** Their medians over the rounds. */
  details: Record<string, number>;
}

export interface Saved {
  machine: string;
  workloads: Record<string, Record<string, SavedPeer>>;
}

export function readSaved(file: string): Saved | null {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Saved) : null;
}

/** Writes one line for each peer, so that a change of the file is readable. */
export function writeSaved(file: string, { machine, workloads }: Saved): void {
  const parts = Object.entries(workloads).map(([name, peers]) => {
    const lines = Object.entries(peers).map(([peer, one]) => `      "${peer}": ${JSON.stringify(one)}`);
    return `    "${name}": {\n${lines.join(',\n')}\n    }`;
  });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    `{\n  "machine": ${JSON.stringify(machine)},\n  "workloads": {\n${parts.join(',\n')}\n  }\n}\n`,
  );
}

/**
 * Returns the saved figures with those of a run in place of older ones. A peer that failed has none any more.
 */
export function merged(
  saved: Saved | null,
  machine: string,
  day: string,
  results: readonly WorkloadResult[],
): Saved {
  const workloads = { ...saved?.workloads };
  for (const { workload, peers } of results) {
    const all = { ...workloads[workload.name] };
    for (const one of peers) {
      if (one.failure === undefined) all[one.peer] = toSaved(one, day);
      else delete all[one.peer];
    }
    workloads[workload.name] = all;
  }
  return { machine, workloads: inListOrder(workloads) };
}

function inListOrder(workloads: Saved['workloads']): Saved['workloads'] {
  const entries = WORKLOADS.filter(({ name }) => workloads[name] !== undefined).map(({ name, peers }) => {
    const all = workloads[name]!;
    const known = peers.filter((peer) => all[peer] !== undefined);
    return [name, Object.fromEntries(known.map((peer) => [peer, all[peer]!]))];
  });
  return Object.fromEntries(entries) as Saved['workloads'];
}

export function toResults({ workloads }: Saved): WorkloadResult[] {
  return WORKLOADS.filter(({ name }) => workloads[name] !== undefined).map((workload) => ({
    workload,
    peers: Object.entries(workloads[workload.name]!).map(([peer, { values, details, runtime }]) => ({
      peer,
      rounds: values.map((value) => ({ value, details, runtime })),
    })),
  }));
}

function toSaved({ rounds }: PeerResult, measured: string): SavedPeer {
  const names = Object.keys(rounds[0]?.details ?? {});
  const details = names.map((name) => [
    name,
    rounded(median(rounds.map((round) => round.details[name] ?? Number.NaN))),
  ]);
  return {
    measured,
    runtime: rounds[0]?.runtime ?? '',
    values: rounds.map(({ value }) => rounded(value)),
    details: Object.fromEntries(details),
  };
}

/** Four digits: the machines are noisier than that. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
