/** The properties of a socket that tell of its connection. */
import { Duplex } from 'node:stream';
import type { SocketAddress } from '../base/address.ts';
import type { PeerCertificate, Transport } from '../net/transport.ts';

/** The properties of Node's own TLS session. */
interface TlsFacts {
  authorized?: boolean;
  authorizationError?: Error | string | null;
  alpnProtocol?: string | false | null;
  getPeerCertificate?(detailed?: boolean): PeerCertificate;
}

/** An address in the form that Node uses. */
interface NodeAddress {
  address?: string;
  port?: number;
  family?: string;
}

/** A `Duplex` with the properties of Node's sockets, answered by the transport below. */
export abstract class SocketFacts extends Duplex {
  /** The transport; null before the connection is made. @internal */
  abstract get _transport(): Transport | null;

  /** Returns the local address; an empty object if there is none. */
  address(): NodeAddress {
    return nodeAddress(this._transport?.getExtraInfo('sockname') ?? null);
  }

  /** The remote address; undefined if there is none. */
  get remoteAddress(): string | undefined {
    return this.#peer().address;
  }

  /** The remote port. */
  get remotePort(): number | undefined {
    return this.#peer().port;
  }

  /** The remote family: `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return this.#peer().family;
  }

  /** The local address. */
  get localAddress(): string | undefined {
    return this.address().address;
  }

  /** The local port. */
  get localPort(): number | undefined {
    return this.address().port;
  }

  /** The local family: `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    return this.address().family;
  }

  #peer(): NodeAddress {
    return nodeAddress(this._transport?.getExtraInfo('peername') ?? null);
  }

  /** True over TLS; else undefined, as for Node's own sockets. */
  get encrypted(): true | undefined {
    return this.#tls() === null ? undefined : true;
  }

  /** TLS: whether the peer's certificate was verified. */
  get authorized(): boolean | undefined {
    return this.#tls()?.authorized;
  }

  /** TLS: the reason why the certificate was not verified. */
  get authorizationError(): Error | string | null | undefined {
    return this.#tls()?.authorizationError;
  }

  /** TLS: the negotiated protocol; false if there is none. */
  get alpnProtocol(): string | false | null | undefined {
    return this.#tls()?.alpnProtocol;
  }

  /** Returns the peer's certificate over TLS; an empty object if the peer has sent none. */
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
