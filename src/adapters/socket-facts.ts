/** What clients and servers ask a socket about its connection. */
import { Duplex } from 'node:stream';
import type { SocketAddress } from '../base/address.ts';
import type { PeerCertificate, Transport } from '../net/transport.ts';

/** What Node's own TLS session tells. */
interface TlsFacts {
  authorized?: boolean;
  authorizationError?: Error | string | null;
  alpnProtocol?: string | false | null;
  getPeerCertificate?(detailed?: boolean): PeerCertificate;
}

/** What the host calls an address. */
interface NodeAddress {
  address?: string;
  port?: number;
  family?: string;
}

/**
 * A `Duplex` that answers, by the names of Node's sockets, what the transport beneath it knows of its
 * connection.
 */
export abstract class SocketFacts extends Duplex {
  /** Null while there is none yet. @internal */
  abstract get _transport(): Transport | null;

  /** Address of this side; empty where it has none. */
  address(): NodeAddress {
    return nodeAddress(this._transport?.getExtraInfo('sockname') ?? null);
  }

  /** The peer's address; undefined where it has none. */
  get remoteAddress(): string | undefined {
    return this.#peer().address;
  }

  /** The peer's port. */
  get remotePort(): number | undefined {
    return this.#peer().port;
  }

  /** `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return this.#peer().family;
  }

  /** Our address. */
  get localAddress(): string | undefined {
    return this.address().address;
  }

  /** Our port. */
  get localPort(): number | undefined {
    return this.address().port;
  }

  /** `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    return this.address().family;
  }

  #peer(): NodeAddress {
    return nodeAddress(this._transport?.getExtraInfo('peername') ?? null);
  }

  /** True over TLS; else undefined, as of Node's own sockets. */
  get encrypted(): true | undefined {
    return this.#tls() === null ? undefined : true;
  }

  /** Over TLS: whether the peer's certificate was verified. */
  get authorized(): boolean | undefined {
    return this.#tls()?.authorized;
  }

  /** Over TLS: why it was not. */
  get authorizationError(): Error | string | null | undefined {
    return this.#tls()?.authorizationError;
  }

  /** Over TLS: the protocol that was agreed on; false: none. */
  get alpnProtocol(): string | false | null | undefined {
    return this.#tls()?.alpnProtocol;
  }

  /** Over TLS: the peer's certificate; empty where it has shown none. */
  getPeerCertificate(detailed: boolean = false): PeerCertificate | Record<string, never> {
    return this.#tls()?.getPeerCertificate?.(detailed) ?? {};
  }

  #tls(): TlsFacts | null {
    return (this._transport?.getExtraInfo('sslObject') ?? null) as TlsFacts | null;
  }
}

function nodeAddress(address: SocketAddress | null): NodeAddress {
  if (address === null || typeof address === 'string') return {};
  return { address: address[0], port: address[1], family: address.length === 4 ? 'IPv6' : 'IPv4' };
}
