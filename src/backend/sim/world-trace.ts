/**
 * The log of a world: packets, programs, signals and faults, and if wanted each entry of each loop.
 *
 * Two runs with one seed give equal logs. So nothing in it depends on the process: no address of an object,
 * no number of a process, no real time, and no contents of packets.
 */
import type { Tap } from './fabric/fabric.ts';
import { describePacket } from './fabric/packet.ts';
import type { Verdict } from './fabric/verdict.ts';
import type { SimHost } from './host.ts';
import type { Timeline } from './timeline.ts';
import { lineOf, Trace } from './trace.ts';

/** One event of a world. */
export interface WorldTraceEntry {
  /** Seconds of the world. */
  readonly time: number;
  /** The name of the host; `''` for the network and the world itself. */
  readonly host: string;
  /**
   * `packet`, `lost` or `refused`: what this host sent. `program`: one started, ended or failed. `host`: a
   * pause, a crash, a start, a change of its clock. `signal`: a program got one. `fault`: a rule began or
   * ended. `choice`: a schedule that is searched took another way than the usual one. `report`: a leak or an
   * exception of a loop. `loop`: an entry of the ready queue of a loop.
   */
  readonly kind: string;
  readonly label: string;
}

/** The entries that are kept without the option `trace`, for the report of a failure. */
const RECENT = 30;

export class WorldTrace {
  readonly entries: WorldTraceEntry[] = [];
  /** For each packet in `entries` a hash of its contents, which are no part of the trace. */
  readonly contents: Map<WorldTraceEntry, number> = new Map();
  readonly #timeline: Timeline;
  readonly #records: boolean;
  readonly #labels: Trace = new Trace();
  #hashes: boolean = false;

  /** @param records keeps everything, instead of the last events without packets */
  constructor(timeline: Timeline, records: boolean) {
    this.#timeline = timeline;
    this.#records = records;
  }

  /** From now on, records the contents of packets in {@link contents}. */
  hashContents(): void {
    this.#hashes = true;
  }

  tell(host: string, kind: string, label: string): WorldTraceEntry {
    const entry = { time: this.#timeline.time(), host, kind, label };
    this.entries.push(entry);
    if (!this.#records && this.entries.length > 2 * RECENT) this.entries.splice(0, RECENT);
    return entry;
  }

  /** Returns the last events, as lines. */
  recent(): string[] {
    return this.entries.slice(-RECENT).map(lineOf);
  }

  /** An entry of the ready queue of a loop is about to run. */
  loopEntry(host: string, entry: object): void {
    const { kind, label } = this.#labels.describe(entry);
    this.tell(host, 'loop', `${kind} ${label}`);
  }

  readonly tap: Tap = (packet, from, to, verdict) => {
    const entry = this.tell(
      from.name,
      kindOf(verdict, to),
      `${describePacket(packet)}${fateOf(verdict, to)}`,
    );
    if (this.#hashes && packet.protocol !== 'icmp') this.contents.set(entry, hashOf(packet.data));
  };
}

function kindOf(verdict: Verdict | null, to: SimHost | null): string {
  if (to === null) return 'lost';
  if (verdict === null || verdict.stoppedBy === null) return 'packet';
  return verdict.refused ? 'refused' : 'lost';
}

function fateOf(verdict: Verdict | null, to: SimHost | null): string {
  if (to === null) return ', no such host';
  if (verdict === null) return '';
  if (verdict.stoppedBy !== null) return `, by ${verdict.stoppedBy}`;
  const copies = verdict.copies === null ? '' : `, ${verdict.copies.length + 1} copies`;
  return ` to ${to.name}${copies}`;
}

/** FNV-1a. */
function hashOf(data: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of data) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
