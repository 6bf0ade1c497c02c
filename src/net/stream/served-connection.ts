import type { Linked } from '../../base/linked-list.ts';
import { currentTransport } from '../tls/start-tls.ts';
import type { TransportOwner } from './stream-transport.ts';

/** A connection of a server: its transport, or a {@link SecuredConnection}. */
export interface ServedConnection extends Linked {
  close(): void;
  abort(): void;
}

/** The server of a connection. */
export interface ConnectionOwner {
  /** The connection is gone. @internal */
  _detach(connection: ServedConnection): void;
}

/**
 * A connection with TLS that a server has accepted: from the handshake until the socket's transport is lost.
 */
export class SecuredConnection implements ServedConnection, TransportOwner {
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  /** Closes or aborts the connection: its transport, or before that the handshake. */
  ending: { close(): void; abort(): void } = NOT_YET;
  readonly #server: ConnectionOwner;
  #gone: boolean = false;

  constructor(server: ConnectionOwner) {
    this.#server = server;
  }

  close(): void {
    currentTransport(this.ending).close();
  }

  abort(): void {
    currentTransport(this.ending).abort();
  }

  isGone(): boolean {
    return this.#gone;
  }

  _detach(): void {
    this.#gone = true;
    this.#server._detach(this);
  }
}

const NOT_YET = { close: () => {}, abort: () => {} };
