/** The ratios between gyre and its peers, and the verdict on each target. */
import type { Measurement } from './measure.ts';
import { median } from './measure.ts';
import type { Target, Workload } from './workload.ts';

/** A peer's rounds of one workload, or the reason why there are none. */
export interface PeerResult {
  peer: string;
  rounds: Measurement[];
  failure?: string;
}

export interface WorkloadResult {
  workload: Workload;
  peers: PeerResult[];
}

/** The verdict on one target; `value` is null if a side was not measured. */
export interface Verdict {
  workload: string;
  target: Target;
  asked: number;
  /** A ratio, a difference or a figure, as the kind of the target says. */
  value: number | null;
  /** The range of the single rounds. */
  range: readonly [lowest: number, highest: number] | null;
  reached: boolean | null;
}

export const SERVER_CPU = 'server CPU us';

export function isGyre(peer: string): boolean {
  return peer === 'gyre' || peer.startsWith('gyre-');
}

/** The median over the rounds, of the value or of a further figure; NaN where it was not measured. */
export function middle(result: PeerResult | undefined, detail?: string): number {
  const rounds = result?.rounds ?? [];
  return median(
    rounds.map((round) => (detail === undefined ? round.value : (round.details[detail] ?? Number.NaN))),
  );
}

/**
 * Returns gyre's speed as a multiple of the peer's; null if that has no meaning (a timer may be early) or is
 * unknown.
 */
export function speedRatio(result: WorkloadResult, gyre: string, peer: string): number | null {
  return ratioOf(result.workload, middle(find(result, gyre)), middle(find(result, peer)));
}

/** Returns the server's CPU time of the peer as a multiple of gyre's. */
export function cpuRatio(result: WorkloadResult, gyre: string, peer: string): number | null {
  const [ours, theirs] = [middle(find(result, gyre), SERVER_CPU), middle(find(result, peer), SERVER_CPU)];
  return ours > 0 && theirs > 0 ? theirs / ours : null;
}

/** Returns the target that the ratio of two peers has to reach. */
export function targetOf(workload: Workload, gyre: string, peer: string): Target | undefined {
  return workload.targets?.find(
    (target) => target.kind === 'times' && target.gyre === gyre && target.peer === peer,
  );
}

/** Returns null if nothing is asked for on this Node. */
export function verdictOf(result: WorkloadResult, target: Target, nodeMajor: number): Verdict | null {
  const { workload } = result;
  const asked = nodeMajor >= 26 ? target.node26 : target.node20;
  if (asked === null) return null;
  const ours = find(result, target.gyre);
  const theirs = target.peer === null ? ours : find(result, target.peer);
  const value = measuredBy(workload, target, middle(ours), middle(theirs));
  const each = (ours?.rounds ?? [])
    .map((round, i) => measuredBy(workload, target, round.value, theirs?.rounds[i]?.value ?? Number.NaN))
    .filter((one) => one !== null);
  const range = each.length === 0 ? null : ([Math.min(...each), Math.max(...each)] as const);
  const reached = value === null ? null : isAtLeast(workload, target) ? value >= asked : value <= asked;
  return { workload: workload.name, target, asked, value, range, reached };
}

/** Returns a verdict for each target of this Node whose sides were to be measured. */
export function verdictsOf(result: WorkloadResult, nodeMajor: number): Verdict[] {
  const ran = (name: string | null): boolean => name === null || find(result, name) !== undefined;
  return (result.workload.targets ?? [])
    .filter(({ gyre, peer }) => ran(gyre) && ran(peer))
    .map((target) => verdictOf(result, target, nodeMajor))
    .filter((verdict) => verdict !== null);
}

/** Tells whether the number of a target is a lower bound. */
export function isAtLeast({ better }: Workload, { kind }: Target): boolean {
  return kind === 'times' || (kind === 'figure' && better === 'higher');
}

function measuredBy(workload: Workload, { kind }: Target, ours: number, theirs: number): number | null {
  if (kind === 'times') return ratioOf(workload, ours, theirs);
  const value = kind === 'more' ? ours - theirs : ours;
  return Number.isNaN(value) ? null : value;
}

function ratioOf({ better }: Workload, ours: number, theirs: number): number | null {
  if (!(ours > 0 && theirs > 0)) return null;
  return better === 'higher' ? ours / theirs : theirs / ours;
}

function find(result: WorkloadResult, name: string): PeerResult | undefined {
  return result.peers.find(({ peer }) => peer === name);
}
