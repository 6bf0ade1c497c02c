import type { Linked } from '../../base/linked-list.ts';
import type { TransportOwner } from './stream-transport.ts';

/** Closes or aborts a connection: its transport, or before that its TLS handshake. */
export interface Ending {
  close(): void;
  abort(): void;
}

/** The server of a connection. */
export interface ConnectionOwner {
  /** The connection is gone. @internal */
  _ended(connection: ServedConnection): void;
}

/**
 * A connection that a server has accepted: from the TLS handshake, if any, until the socket's transport is
 * lost.
 */
export class ServedConnection implements TransportOwner, Linked {
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  ending: Ending = NOT_YET;
  readonly #server: ConnectionOwner;
  #gone: boolean = false;

  constructor(server: ConnectionOwner) {
    this.#server = server;
  }

  isGone(): boolean {
    return this.#gone;
  }

  _detach(): void {
    this.#gone = true;
    this.#server._ended(this);
  }
}

const NOT_YET: Ending = { close: () => {}, abort: () => {} };
