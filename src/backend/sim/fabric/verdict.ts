/** The fate of one packet, as the rules of a world decide it, first to last. */
export class Verdict {
  /** Seconds on the way. Negative: no rule has decided it yet. */
  latency: number = -1;
  /** Seconds in the queues of links, one behind the other, on top of the latency. */
  queued: number = 0;
  /** Seconds by which it is late for other reasons, on top of both. */
  late: number = 0;
  /** Extra delays in seconds of further copies. */
  copies: number[] | null = null;
  /** It may overtake earlier packets of its connection. */
  reordered: boolean = false;
  /** The rule that dropped or refused the packet. */
  stoppedBy: string | null = null;
  /** The sender is told that it was not delivered. */
  refused: boolean = false;

  reset(): void {
    this.latency = -1;
    this.queued = 0;
    this.late = 0;
    this.copies = null;
    this.reordered = false;
    this.stoppedBy = null;
    this.refused = false;
  }

  /** The packet disappears. No later rule sees it. */
  drop(rule: string): void {
    this.stoppedBy = rule;
  }

  /** The network answers in place of the receiver: by RST for TCP, by ICMP for UDP. No later rule sees it. */
  refuse(rule: string): void {
    this.stoppedBy = rule;
    this.refused = true;
  }
}
