/**
 * The network between simulated hosts. It only routes: it finds the host that has an address, asks the rules
 * for the fate of the packet, and hands it to that host's kernel at the right time.
 */
import type { SimHost } from '../host.ts';
import type { Receiver, Timeline } from '../timeline.ts';
import { Link } from './link.ts';
import type { IcmpMessage, Packet } from './packet.ts';
import { RST, resetOf } from './packet.ts';
import type { Rule } from './rules.ts';
import { scheduledPackets } from './scheduled.ts';
import { Verdict } from './verdict.ts';

/** The kernel of a host, as the network sees it. */
export interface PacketReceiver {
  /** A packet has arrived. */
  receive(packet: Packet): void;
}

/**
 * Called with each packet that is sent, for traces and capture files.
 *
 * @param to null: no host has the destination's address
 * @param verdict valid during the call only. null: no rule was asked, because the packet stays on its host
 */
export type Tap = (packet: Packet, from: SimHost, to: SimHost | null, verdict: Verdict | null) => void;

/** Seconds that a packet takes within a host, and between two hosts without a rule. */
export const LOOPBACK_SECONDS = 0.00002;
export const LINK_SECONDS = 0.0005;

/** A host on the network. While it is down, its packets are lost. */
class Attached implements Receiver<Packet> {
  readonly name: string;
  readonly host: SimHost;
  readonly #receiver: PacketReceiver;
  /** The ways from other hosts. */
  readonly links: Map<SimHost, Link> = new Map();

  constructor(host: SimHost, receiver: PacketReceiver) {
    this.host = host;
    this.name = host.name;
    this.#receiver = receiver;
  }

  receive(packet: Packet): void {
    if (this.host.state !== 'down') this.#receiver.receive(packet);
  }
}

export class Fabric {
  /** First to last. */
  readonly rules: Rule[] = [];
  readonly taps: Tap[] = [];
  /** The number of packets that were sent. */
  packets: number = 0;
  /** The number of packets that a rule has stopped. */
  stopped: number = 0;
  readonly #timeline: Timeline;
  readonly #hosts: Map<string, Attached> = new Map();
  readonly #all: Map<SimHost, Attached> = new Map();
  readonly #verdict: Verdict = new Verdict();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Connects a host. The caller has checked that nobody has its addresses. */
  attach(host: SimHost, receiver: PacketReceiver): void {
    const attached = new Attached(host, receiver);
    this.#all.set(host, attached);
    for (const address of host.addresses) this.#hosts.set(address, attached);
  }

  /** Returns the host that has an address, or null. */
  hostOf(address: string): SimHost | null {
    return this.#hosts.get(address)?.host ?? null;
  }

  /** Puts a rule before all others. Returns a function that removes it. */
  addRule(rule: Rule): () => void {
    this.rules.unshift(rule);
    return () => {
      const index = this.rules.indexOf(rule);
      if (index >= 0) this.rules.splice(index, 1);
    };
  }

  /**
   * Sends a packet. The sender's kernel has checked that the source address is its own.
   *
   * @returns false if no host has the destination's address
   */
  send(packet: Packet, from: SimHost): boolean {
    if (from.state === 'down') return true;
    this.packets++;
    const { destination } = packet;
    const target = this.#hosts.get(destination);
    if (target !== undefined && target.host !== from) {
      this.#route(packet, from, target);
      return true;
    }
    const isLocal = target !== undefined || isLoopback(destination);
    if (this.taps.length > 0) this.#tell(packet, from, isLocal ? from : null, null);
    if (isLocal) this.#loop(packet, this.#all.get(from) as Attached);
    return isLocal;
  }

  /** Sends a packet to all other hosts of its family. Each of their kernels decides whether it is for it. */
  sendToAll(packet: Packet, from: SimHost): void {
    if (from.state === 'down') return;
    this.packets++;
    const isIPv6 = packet.destination.includes(':');
    for (const to of this.#all.values()) {
      const isReached = to.host !== from && to.host.addresses.some((one) => one.includes(':') === isIPv6);
      if (isReached) this.#route(packet, from, to);
    }
  }

  #route(packet: Packet, from: SimHost, to: Attached): void {
    const now = this.#timeline.time();
    const link = this.#link(from, to);
    const verdict = this.#judge(packet, from, to.host, link, now);
    if (this.taps.length > 0) this.#tell(packet, from, to.host, verdict);
    if (verdict.stoppedBy !== null) {
      this.stopped++;
      const answer = verdict.refused ? refusal(packet) : null;
      if (answer !== null) this.#deliver(answer, from, now + 2 * LINK_SECONDS);
      return;
    }
    const delay = verdict.queued + verdict.late;
    const isUsual = verdict.latency < 0 && delay === 0;
    const wanted = now + (verdict.latency < 0 ? LINK_SECONDS : verdict.latency) + delay;
    const arrival = verdict.reordered ? wanted : link.arrival(packet, wanted, now, isUsual);
    const { copies, reordered } = verdict;
    this.#hand(packet, from, to, link, arrival, reordered);
    if (copies === null) return;
    for (const delay of copies) this.#hand(packet, from, to, link, arrival + delay, true);
  }

  /** Delivers a packet within its host. */
  #loop(packet: Packet, on: Attached): void {
    const when = this.#timeline.time() + LOOPBACK_SECONDS;
    if (this.#timeline.choices === null) this.#timeline.deliver(when, on, packet);
    else this.#hand(packet, on.host, on, this.#link(on.host, on), when, false);
  }

  /** Delivers a packet, unless the choices of a schedule give it another fate. */
  #hand(packet: Packet, from: SimHost, to: Attached, link: Link, arrival: number, overtakes: boolean): void {
    const timeline = this.#timeline;
    const { choices } = timeline;
    if (choices === null) {
      timeline.deliver(arrival, to, packet);
      return;
    }
    for (const { packet: part, late, back } of scheduledPackets(choices, packet, from.name, to.host.name)) {
      const when = arrival + late;
      if (back) this.#deliver(part, from, when);
      else timeline.deliver(overtakes ? when : link.arrival(part, when, timeline.time(), false), to, part);
    }
  }

  #judge(packet: Packet, from: SimHost, to: SimHost, link: Link, now: number): Verdict {
    const verdict = this.#verdict;
    verdict.reset();
    for (const rule of this.rules) {
      if (!rule.matches(packet, from, to)) continue;
      rule.treatment.apply(packet, link, now, verdict);
      if (verdict.stoppedBy !== null) break;
    }
    return verdict;
  }

  #deliver(packet: Packet, to: SimHost, when: number): void {
    this.#timeline.deliver(when, this.#all.get(to) as Attached, packet);
  }

  #tell(packet: Packet, from: SimHost, to: SimHost | null, verdict: Verdict | null): void {
    for (const tap of this.taps) tap(packet, from, to, verdict);
  }

  #link(from: SimHost, to: Attached): Link {
    let link = to.links.get(from);
    if (link === undefined) {
      link = new Link();
      to.links.set(from, link);
    }
    return link;
  }
}

/** Returns the answer of a firewall that rejects a packet: RST for TCP, ICMP for UDP. */
function refusal(packet: Packet): Packet | null {
  if (packet.protocol === 'icmp') return null;
  if (packet.protocol === 'udp') {
    return {
      protocol: 'icmp',
      source: packet.destination,
      destination: packet.source,
      reason: 'port-unreachable',
      about: packet,
    } satisfies IcmpMessage;
  }
  return (packet.flags & RST) === 0 ? resetOf(packet) : null;
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
