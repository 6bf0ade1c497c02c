/** The handshake of TLS over a transport, as an operation that can be cancelled. */
import type { StreamInfo } from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import type { Loop } from '../../loop/types.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import type { StreamProtocol } from '../protocol.ts';
import type { TlsRole } from './tls-options.ts';
import { TlsStream } from './tls-stream.ts';

/**
 * Negotiates TLS. If it fails, is cancelled or times out, it aborts the transport below.
 *
 * @param peer the peer in words, for the leak report
 * @param start makes the layer the protocol of a transport, and calls its `connectionMade`
 * @param fallbackProtocol gets `connectionLost` while there is no transport above
 */
export function handshake(
  loop: Loop,
  side: TlsRole,
  peer: string,
  start: (stream: TlsStream) => void,
  fallbackProtocol: StreamProtocol | null = null,
): HostOperation<TlsStream> {
  return HostOperation.begin<TlsStream>(
    loop,
    `a TLS handshake${peer}`,
    (stream) => stream.abort(),
    (request) => {
      const stream = new TlsStream(loop, side, fallbackProtocol, (error) => {
        if (error === null) request.succeed(stream);
        else request.fail(error);
      });
      start(stream);
      return () => stream.abort();
    },
  );
}

/** Returns ` with 192.0.2.1:443`, or nothing if the peer has no address (the client of a unix socket). */
export function withPeer(peername: StreamInfo['peername']): string {
  return peername === null || peername === '' ? '' : ` with ${formatAddress(peername)}`;
}
