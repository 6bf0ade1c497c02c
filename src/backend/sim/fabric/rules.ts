/**
 * The rules by which the network of a world treats packets: delays, losses and cuts.
 *
 * A packet meets the rules first to last; the newest rule is the first. Each rule may stop the packet, and
 * then no later rule sees it; otherwise it adds its part. Delays and copies add up. A packet enters the queue
 * of one narrow link when it has left the queue of another, so the slowest decides. The latency is the one of
 * the first rule that has one, so a rule in a scope replaces the rules around it while it lasts.
 */
import type { SimHost } from '../host.ts';
import type { Random } from '../random.ts';
import type { Link } from './link.ts';
import type { Packet } from './packet.ts';
import { wireLength } from './packet.ts';
import type { Verdict } from './verdict.ts';

/** A part of a network treats a packet. */
export interface Treatment {
  /** For the trace: `loses 10 %`. */
  readonly text: string;
  apply(packet: Packet, link: Link, now: number, verdict: Verdict): void;
}

/** Seconds: a constant, or drawn anew for each packet. */
export type Draw = () => number;

/** A choice of hosts. */
export interface HostSet {
  /** For the trace: `server, client`. */
  readonly text: string;
  has(host: SimHost): boolean;
}

/** Which packets a rule concerns: those from hosts of `from` to hosts of `to`. */
export interface Route {
  readonly from: HostSet;
  readonly to: HostSet;
  /** Also the other direction. */
  readonly both: boolean;
  readonly protocol: 'tcp' | 'udp' | null;
  /** The port at the receiver; in the other direction, at the sender. null: every port. */
  readonly port: number | null;
}

export class Rule {
  readonly route: Route;
  readonly treatment: Treatment;
  /** For the trace: `from client to server: loses 10 %`. */
  readonly text: string;

  constructor(route: Route, treatment: Treatment) {
    this.route = route;
    this.treatment = treatment;
    this.text = `${describeRoute(route)}: ${treatment.text}`;
  }

  matches(packet: Packet, from: SimHost, to: SimHost): boolean {
    const { route } = this;
    if (route.protocol !== null && packet.protocol !== route.protocol) return false;
    if (route.from.has(from) && route.to.has(to) && hasPort(packet, route.port, false)) return true;
    return route.both && route.from.has(to) && route.to.has(from) && hasPort(packet, route.port, true);
  }
}

function hasPort(packet: Packet, port: number | null, back: boolean): boolean {
  if (port === null) return true;
  if (packet.protocol === 'icmp') return false;
  return (back ? packet.sourcePort : packet.destinationPort) === port;
}

function describeRoute({ from, to, both, protocol, port }: Route): string {
  const what = protocol === null ? '' : `${protocol} `;
  const where = `${what}${from.text} ${both ? '<->' : '->'} ${to.text}`;
  return port === null ? where : `${where} port ${port}`;
}

// --- treatments ---

export function latency(draw: Draw, text: string): Treatment {
  return {
    text: `latency ${text}`,
    apply: (_packet, _link, _now, verdict) => {
      if (verdict.latency < 0) verdict.latency = draw();
    },
  };
}

export function loss(probability: number, random: Random): Treatment {
  const text = `loses ${percent(probability)}`;
  return {
    text,
    apply: (_packet, _link, _now, verdict) => {
      if (random.chance(probability)) verdict.drop(text);
    },
  };
}

/** @param spread the copy arrives after the packet, by up to this many seconds */
export function duplication(probability: number, spread: number, random: Random): Treatment {
  return {
    text: `duplicates ${percent(probability)}`,
    apply: (_packet, _link, _now, verdict) => {
      if (!random.chance(probability)) return;
      verdict.copies ??= [];
      verdict.copies.push(random.next() * spread);
    },
  };
}

/** Delays some packets by up to `spread` seconds, so that later packets overtake them. */
export function reordering(probability: number, spread: number, random: Random): Treatment {
  return {
    text: `reorders ${percent(probability)} by up to ${spread} s`,
    apply: (_packet, _link, _now, verdict) => {
      if (!random.chance(probability)) return;
      verdict.late += random.next() * spread;
      verdict.reordered = true;
    },
  };
}

/** Sends one packet after the other. A packet that finds more than `queueBytes` before it is dropped. */
export function bandwidth(bytesPerSecond: number, queueBytes: number): Treatment {
  const freeAt: Map<Link, number> = new Map();
  const text = `${bytesPerSecond} bytes/s`;
  return {
    text,
    apply: (packet, link, now, verdict) => {
      const arrival = now + verdict.queued;
      const begin = Math.max(arrival, freeAt.get(link) ?? 0);
      if ((begin - arrival) * bytesPerSecond > queueBytes) {
        verdict.drop(`full queue of ${text}`);
        return;
      }
      const end = begin + wireLength(packet) / bytesPerSecond;
      freeAt.set(link, end);
      verdict.queued = end - now;
    },
  };
}

export function cut(text: string, refuses: boolean): Treatment {
  return {
    text,
    apply: (_packet, _link, _now, verdict) => {
      if (refuses) verdict.refuse(text);
      else verdict.drop(text);
    },
  };
}

/** Loses everything while `isDown()`. */
export function flapping(isDown: () => boolean): Treatment {
  return {
    text: 'flaps',
    apply: (_packet, _link, _now, verdict) => {
      if (isDown()) verdict.drop('flapping link');
    },
  };
}

/** The answer of a function of the user. */
export type CustomFate = 'drop' | 'refuse' | { readonly delay: number } | null | undefined;

export function custom(text: string, decide: (packet: Packet) => CustomFate): Treatment {
  return {
    text,
    apply: (packet, _link, _now, verdict) => {
      const fate = decide(packet);
      if (fate === 'drop') verdict.drop(text);
      else if (fate === 'refuse') verdict.refuse(text);
      else if (fate) verdict.late += fate.delay;
    },
  };
}

function percent(probability: number): string {
  return `${Number((probability * 100).toPrecision(12))} %`;
}
