/** The way from one host to another, in one direction. */
import type { Packet } from './packet.ts';

/** A link looks for idle connections when it knows more than this. */
const MANY_FLOWS = 256;
const PORT_BITS = 16;

export class Link {
  /** For each TCP connection that a rule has delayed: the arrival of its last segment. */
  readonly #flows: Map<number, number> = new Map();
  #manyFlows: number = MANY_FLOWS;
  /** The arrival of the last segment, of any connection, that no rule has delayed. */
  #lastUsual: number = 0;

  /**
   * Returns the time at which a packet arrives that the rules want to arrive at `when`. Segments of one
   * connection do not overtake each other, unless a rule says so: a route keeps their order, and a change of
   * the latency must not look like a loss.
   *
   * @param isUsual no rule has delayed the packet. Such packets keep their order by themselves
   */
  arrival(packet: Packet, when: number, now: number, isUsual: boolean): number {
    if (packet.protocol !== 'tcp') return when;
    if (isUsual && this.#flows.size === 0) {
      this.#lastUsual = when;
      return when;
    }
    const flow = (packet.sourcePort << PORT_BITS) | packet.destinationPort;
    const arrival = Math.max(when, this.#flows.get(flow) ?? 0, isUsual ? 0 : this.#lastUsual);
    if (isUsual && arrival === when) {
      this.#lastUsual = when;
      this.#flows.delete(flow);
      return when;
    }
    this.#flows.set(flow, arrival);
    if (this.#flows.size > this.#manyFlows) this.#forget(now);
    return arrival;
  }

  #forget(now: number): void {
    for (const [flow, arrival] of this.#flows) if (arrival <= now) this.#flows.delete(flow);
    this.#manyFlows = Math.max(MANY_FLOWS, this.#flows.size * 2);
  }
}
