/**
 * The network between simulated hosts. It only routes: it finds the host that has an address, asks the rules
 * for the fate of the packet, and hands it to that host's kernel at the right time.
 */
import type { SimHost } from './host.ts';
import type { Packet } from './packet.ts';
import type { Timeline } from './timeline.ts';

/** The kernel of a host, as the network sees it. */
export interface PacketReceiver {
  /** A packet has arrived. */
  receive(packet: Packet): void;
}

/**
 * The fate of a packet: it arrives after each of `delays` (two numbers: twice), or it is lost (no number), or
 * the network answers that there is no way.
 */
export interface Fate {
  /** Seconds. */
  readonly delays: readonly number[];
  readonly refuse?: boolean;
}

/** Decides the fate of packets. It returns null to leave a packet to the next rule. */
export type Rule = (packet: Packet, from: SimHost, to: SimHost) => Fate | null;

/** Seconds that a packet takes within a host, and between two hosts without a rule. */
export const LOOPBACK_SECONDS = 0.00002;
export const LINK_SECONDS = 0.0005;

const LOOPBACK: Fate = { delays: [LOOPBACK_SECONDS] };
const LINK: Fate = { delays: [LINK_SECONDS] };

export class Fabric {
  /** First to last; the first rule that returns a fate decides. */
  readonly rules: Rule[] = [];
  /** Called with each packet that is sent, for traces and capture files. */
  tap: ((packet: Packet, from: SimHost, to: SimHost | null, fate: Fate | null) => void) | null = null;
  readonly #timeline: Timeline;
  readonly #hosts: Map<string, { host: SimHost; receiver: PacketReceiver }> = new Map();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Connects a host. The caller has checked that nobody has its addresses. */
  attach(host: SimHost, receiver: PacketReceiver): void {
    for (const address of host.addresses) this.#hosts.set(address, { host, receiver });
  }

  /** Returns the host that has an address, or null. */
  hostOf(address: string): SimHost | null {
    return this.#hosts.get(address)?.host ?? null;
  }

  /**
   * Sends a packet. The sender's kernel has checked that the source address is its own.
   *
   * @param local the sender's own kernel, for packets that do not leave the host
   */
  send(packet: Packet, from: SimHost, local: PacketReceiver): void {
    if (isLoopback(packet.destination) || from.addresses.includes(packet.destination)) {
      this.#deliver(packet, from, from, local, LOOPBACK);
      return;
    }
    const target = this.#hosts.get(packet.destination);
    if (target === undefined) {
      this.tap?.(packet, from, null, null);
      return;
    }
    this.#deliver(packet, from, target.host, target.receiver, this.#fateOf(packet, from, target.host));
  }

  #fateOf(packet: Packet, from: SimHost, to: SimHost): Fate {
    for (const rule of this.rules) {
      const fate = rule(packet, from, to);
      if (fate !== null) return fate;
    }
    return LINK;
  }

  #deliver(packet: Packet, from: SimHost, to: SimHost, receiver: PacketReceiver, fate: Fate): void {
    this.tap?.(packet, from, to, fate);
    for (const delay of fate.delays) {
      this.#timeline.at(this.#timeline.time() + delay, () => {
        if (to.state !== 'down') receiver.receive(packet);
      });
    }
  }
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
