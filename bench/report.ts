/** From figures to markdown. */
import type { Target, Workload } from './list.ts';
import type { Measurement } from './measure.ts';
import { median } from './measure.ts';

/** Rounds that lie further apart than this are marked: a difference of that size means nothing. */
const NOISY_SPREAD = 0.25;
/** Above this the generator may be what is measured. */
const BUSY_GENERATOR = 97;
/** Below this, with more than one connection to serve, something else took the server's core. */
const IDLE_SERVER = 90;

/** A peer's rounds of one workload, or why there are none. */
export interface PeerResult {
  peer: string;
  rounds: Measurement[];
  failure?: string;
}

export interface WorkloadResult {
  workload: Workload;
  peers: PeerResult[];
}

/** One asked ratio, and whether it was reached; null where a side was not measured. */
interface Verdict {
  workload: string;
  peer: string;
  asked: number;
  ratio: number | null;
}

export function workloadTable(result: WorkloadResult, nodeMajor: number): string {
  const { workload, peers } = result;
  const columns = [...new Set(peers.flatMap((peer) => Object.keys(peer.rounds[0]?.details ?? {})))];
  const header = ['peer', workload.unit, 'spread', "gyre's speed / peer's", 'asked', 'reached', ...columns];
  const rows = peers.map((peer) => {
    const verdict = verdictOf(result, peer.peer, nodeMajor);
    const ratio = ratioTo(result, peer.peer);
    return [
      peer.peer,
      peer.rounds.length === 0 ? '–' : figure(middle(peer)),
      peer.rounds.length < 2 ? '–' : `${percent(spread(peer))}${spread(peer) > NOISY_SPREAD ? ' ~' : ''}`,
      ratio === null || peer.peer === 'gyre' ? '' : ratio.toFixed(3),
      verdict === null ? '' : `≥ ${verdict.asked}`,
      verdict === null ? '' : reached(verdict),
      ...columns.map((column) =>
        figure(median(peer.rounds.map((round) => round.details[column] ?? Number.NaN))),
      ),
    ];
  });
  const notes = peers.flatMap((peer) => notesOn(workload, peer));
  return [
    `## ${workload.name}: ${workload.title}`,
    `In ${workload.unit}; ${workload.better} is better.`,
    table(header, rows),
    ...notes.map((note) => `- ${note}`),
  ].join('\n\n');
}

export function verdictTable(results: readonly WorkloadResult[], nodeMajor: number): string {
  const verdicts = results.flatMap((result) =>
    (result.workload.targets ?? []).map((target) => verdictOf(result, target.peer, nodeMajor) as Verdict),
  );
  const rows = verdicts.map((verdict) => [
    verdict.workload,
    verdict.peer,
    `≥ ${verdict.asked}`,
    verdict.ratio === null ? '–' : verdict.ratio.toFixed(3),
    reached(verdict),
  ]);
  return `## What was asked, on Node ${nodeMajor}\n\n${table(['workload', 'peer', 'asked', 'measured', 'reached'], rows)}`;
}

function verdictOf(result: WorkloadResult, peer: string, nodeMajor: number): Verdict | null {
  const target: Target | undefined = result.workload.targets?.find((each) => each.peer === peer);
  if (target === undefined) return null;
  const asked = nodeMajor >= 26 ? target.node26 : target.node20;
  return { workload: result.workload.name, peer, asked, ratio: ratioTo(result, peer) };
}

function reached(verdict: Verdict): string {
  if (verdict.ratio === null) return 'not measured';
  return verdict.ratio >= verdict.asked ? 'yes' : '**no**';
}

/** How many times as fast as the peer gyre is; null where that has no meaning (a timer may be early). */
function ratioTo(result: WorkloadResult, peerName: string): number | null {
  const ours = medianOf(result, 'gyre');
  const theirs = medianOf(result, peerName);
  if (!(ours > 0 && theirs > 0)) return null;
  return result.workload.better === 'higher' ? ours / theirs : theirs / ours;
}

/** NaN where the peer was not measured. */
function medianOf(result: WorkloadResult, peerName: string): number {
  const found = result.peers.find(({ peer }) => peer === peerName);
  return found === undefined ? Number.NaN : middle(found);
}

function middle(peer: PeerResult): number {
  return median(peer.rounds.map((round) => round.value));
}

/** From the lowest to the highest round, as a share of the median. */
function spread(peer: PeerResult): number {
  const values = peer.rounds.map((round) => round.value);
  return (Math.max(...values) - Math.min(...values)) / Math.abs(middle(peer));
}

function notesOn(workload: Workload, peer: PeerResult): string[] {
  const notes: string[] = [];
  if (peer.failure !== undefined) notes.push(`${peer.peer}: ${peer.failure}`);
  if (workload.kind === 'process' || peer.rounds.length === 0) return notes;
  const busy = (side: string): number =>
    median(peer.rounds.map((round) => round.details[side] ?? Number.NaN));
  if (busy('generator busy %') > BUSY_GENERATOR) {
    notes.push(`${peer.peer}: the generator was the limit; compare the server's CPU.`);
  } else if (workload.connections > 1 && busy('server busy %') < IDLE_SERVER) {
    notes.push(`${peer.peer}: the server did not have its core to itself; compare its CPU, or run again.`);
  }
  return notes;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, header.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Three digits or more, and thousands apart. */
function figure(value: number): string {
  if (Number.isNaN(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
