/** Turns the figures of a run into Markdown. */
import { figure, ratio, table } from './cells.ts';
import type { PeerResult, Verdict, WorkloadResult } from './ratios.ts';
import {
  cpuRatio,
  isAtLeast,
  isGyre,
  middle,
  SERVER_CPU,
  speedRatio,
  targetOf,
  verdictOf,
  verdictsOf,
} from './ratios.ts';

/** Rounds that lie further apart than this are marked: a difference of that size means nothing. */
const NOISY_SPREAD = 0.25;
/** Above this the generator may be what is measured. */
const BUSY_GENERATOR = 97;
/** Below this, with more than one connection to serve, another program used the server's core. */
const IDLE_SERVER = 90;

/** Everything about one workload: a row a peer. */
export function workloadTable(result: WorkloadResult, nodeMajor: number): string {
  const { workload, peers } = result;
  const ours = peers.map(({ peer }) => peer).filter(isGyre);
  const details = [...new Set(peers.flatMap((peer) => Object.keys(peer.rounds[0]?.details ?? {})))];
  const hasCpu = details.includes(SERVER_CPU);
  const others = details.filter((detail) => detail !== SERVER_CPU);
  const header = [
    ...['peer', workload.unit, 'spread'],
    ...ours.map((gyre) => (workload.better === 'higher' ? `${gyre} / peer` : `peer / ${gyre}`)),
    ...(hasCpu ? [SERVER_CPU, ...ours.map((gyre) => `CPU: peer / ${gyre}`)] : []),
    ...others,
  ];
  const rows = peers.map((peer) => [
    peer.peer,
    figure(middle(peer)),
    spreadCell(peer),
    ...ours.map((gyre) => (gyre === peer.peer ? '' : ratioCell(result, gyre, peer.peer, nodeMajor))),
    ...(hasCpu
      ? [
          figure(middle(peer, SERVER_CPU)),
          ...ours.map((gyre) => (gyre === peer.peer ? '' : ratio(cpuRatio(result, gyre, peer.peer)))),
        ]
      : []),
    ...others.map((detail) => figure(middle(peer, detail))),
  ]);
  return [
    `## ${workload.name}: ${workload.title}`,
    `In ${workload.unit}; ${workload.better} is better. Ratios above 1 are in favour of gyre.`,
    table(header, rows),
    ...notesOn(result).map((note) => `- ${note}`),
  ].join('\n\n');
}

/** One of gyre's peers against all others: a row a workload; empty where there is none. */
export function summaryTable(results: readonly WorkloadResult[], gyre: string, nodeMajor: number): string {
  const mine = results.filter(({ peers }) => peers.some(({ peer }) => peer === gyre));
  if (mine.length === 0) return '';
  const columns = columnsOf(mine, gyre);
  const rows = mine.map((result) => [
    `${result.workload.name}, ${result.workload.unit}`,
    figure(middle(result.peers.find(({ peer }) => peer === gyre))),
    ...columns.map((peer) => ratioCell(result, gyre, peer, nodeMajor)),
  ]);
  return [
    `## ${gyre}, on Node ${nodeMajor}`,
    `Its figure, and how many times as fast (as small, for memory) as each peer it is. In brackets what was asked; bold: not reached.`,
    table(['workload', gyre, ...columns], rows),
  ].join('\n\n');
}

/** As {@link summaryTable}, for the server's CPU time a message; empty where there is none. */
export function cpuTable(results: readonly WorkloadResult[], gyre: string, nodeMajor: number): string {
  const mine = results.filter((result) => cpuRatio(result, gyre, gyre) !== null);
  if (mine.length === 0) return '';
  const columns = columnsOf(mine, gyre);
  const rows = mine.map((result) => [
    result.workload.name,
    figure(
      middle(
        result.peers.find(({ peer }) => peer === gyre),
        SERVER_CPU,
      ),
    ),
    ...columns.map((peer) => ratio(cpuRatio(result, gyre, peer))),
  ]);
  return [
    `## ${gyre}, server CPU, on Node ${nodeMajor}`,
    `Microseconds a message (a connection, a MB), and each peer's over gyre's: above 1 gyre takes less. Where the generator is the limit, this is what can be compared.`,
    table(['workload', gyre, ...columns], rows),
  ].join('\n\n');
}

/** Every target whose two sides were asked for; empty where there is none. */
export function verdictTable(results: readonly WorkloadResult[], nodeMajor: number): string {
  const verdicts = results.flatMap((result) =>
    verdictsOf(result, nodeMajor).map((verdict) => ({
      verdict,
      atLeast: isAtLeast(result.workload, verdict.target),
    })),
  );
  if (verdicts.length === 0) return '';
  const rows = verdicts.map(({ verdict, atLeast }) => [
    verdict.workload,
    verdict.target.gyre,
    verdict.target.peer ?? '',
    verdict.target.kind,
    `${atLeast ? '≥' : '≤'} ${asked(verdict)}`,
    ratio(verdict.value),
    verdict.range === null ? '–' : verdict.range.map((one) => one.toFixed(2)).join('..'),
    reached(verdict, atLeast),
  ]);
  const header = ['workload', 'gyre', 'peer', 'kind', 'asked', 'measured', 'single rounds', 'reached'];
  return `## What was asked, on Node ${nodeMajor}\n\n${table(header, rows)}`;
}

function columnsOf(results: readonly WorkloadResult[], gyre: string): string[] {
  const peers = results.flatMap((result) => result.peers.map(({ peer }) => peer));
  return [...new Set(peers)].filter((peer) => peer !== gyre);
}

/** A ratio with its target in brackets; bold if it misses it. */
export function ratioCell(result: WorkloadResult, gyre: string, peer: string, nodeMajor: number): string {
  const target = targetOf(result.workload, gyre, peer);
  const text = ratio(speedRatio(result, gyre, peer));
  if (target === undefined) return text;
  const verdict = verdictOf(result, target, nodeMajor);
  if (verdict === null) return text;
  return `${verdict.reached === false ? `**${text}**` : text} (${asked(verdict)})`;
}

function asked(verdict: Verdict): string {
  return String(Number(verdict.asked.toFixed(2)));
}

function reached({ reached, range, asked }: Verdict, atLeast: boolean): string {
  if (reached === null) return 'not measured';
  if (reached) return 'yes';
  const once = range !== null && (atLeast ? range[1] >= asked : range[0] <= asked);
  return once ? '**no**, but in a round' : '**no**';
}

function spreadCell(peer: PeerResult): string {
  if (peer.rounds.length < 2) return '–';
  const share = spread(peer);
  return `${Math.round(share * 100)} %${share > NOISY_SPREAD ? ' ~' : ''}`;
}

/** From the lowest to the highest round, as a share of the median. */
function spread(peer: PeerResult): number {
  const values = peer.rounds.map((round) => round.value);
  return (Math.max(...values) - Math.min(...values)) / Math.abs(middle(peer));
}

function notesOn({ workload, peers }: WorkloadResult): string[] {
  const failures = peers.filter(({ failure }) => failure !== undefined);
  const notes = failures.map(({ peer, failure }) => `${peer}: ${failure}`);
  const busy = (peer: PeerResult, side: string): number => middle(peer, `${side} busy %`);
  if (workload.unit.endsWith('of CPU')) return notes; // neither side need be busy
  const limited = peers.filter((peer) => busy(peer, 'generator') > BUSY_GENERATOR);
  if (limited.length > 0) {
    notes.push(`${namesOf(limited)}: the generator was the limit; compare the server's CPU.`);
  }
  if (workload.kind === 'network' && workload.connections === 1) return notes;
  const disturbed = peers.filter((peer) => !limited.includes(peer) && busy(peer, 'server') < IDLE_SERVER);
  if (disturbed.length > 0) {
    notes.push(
      `${namesOf(disturbed)}: the server did not have its core to itself; compare its CPU, or run again.`,
    );
  }
  return notes;
}

function namesOf(peers: readonly PeerResult[]): string {
  return peers.map(({ peer }) => peer).join(', ');
}
