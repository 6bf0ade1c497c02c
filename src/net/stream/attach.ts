/**
 * Attaches a protocol to a connected stream: negotiates TLS if it is wanted, then makes the protocol and
 * calls `connectionMade`. If a step fails, the stream is aborted.
 *
 * Call it within an `operation()`, in the same step in which the stream came. Then the stream has an owner at
 * every moment, and a cancel cannot lose it.
 */

import type { RawStream } from '../../backend/backend.ts';
import type { CapturedContext } from '../../loop/context.ts';
import type { Loop } from '../../loop/types.ts';
import type { HostOperation } from '../../tasks/host-operation.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { STREAM_PROTOCOL_METHODS } from '../protocol.ts';
import { makeProtocol, makerOf } from '../protocol-caller.ts';
import { handshake, withPeer } from '../tls/handshake.ts';
import type { TlsRole } from '../tls/tls-options.ts';
import type { TlsStream } from '../tls/tls-stream.ts';
import type { Transport } from '../transport.ts';
import { StreamTransport } from './stream-transport.ts';

export interface AttachOptions {
  noDelay?: boolean;
}

/**
 * Attaches a new protocol to `stream`.
 *
 * @param tls the result of `clientTls()` or `serverTls()`; null for no TLS
 * @returns transport and protocol, in the same step; with TLS a promise of them
 */
export function attach<P extends StreamProtocol>(
  loop: Loop,
  stream: RawStream,
  factory: ProtocolFactory<P>,
  context: CapturedContext,
  options: AttachOptions,
  tls: TlsRole | null,
): [Transport, P] | Promise<[Transport, P]> {
  if (options.noDelay === false) stream.info().handle?.setNoDelay?.(false);
  if (tls === null) return connectProtocol(loop, stream, factory, context);
  return attachSecure(loop, stream, factory, context, tls);
}

async function attachSecure<P extends StreamProtocol>(
  loop: Loop,
  stream: RawStream,
  factory: ProtocolFactory<P>,
  context: CapturedContext,
  tls: TlsRole,
): Promise<[Transport, P]> {
  return connectProtocol(loop, await secure(loop, stream, context, tls), factory, context);
}

function secure(
  loop: Loop,
  stream: RawStream,
  context: CapturedContext,
  tls: TlsRole,
): HostOperation<TlsStream> {
  try {
    return handshake(loop, tls, withPeer(stream.info().peername), (layer) => {
      new StreamTransport(loop, stream, layer, context, null)._begin();
    });
  } catch (error) {
    // The loop was closed since the stream was opened.
    stream.abort();
    throw error;
  }
}

function connectProtocol<P extends StreamProtocol>(
  loop: Loop,
  stream: RawStream,
  factory: ProtocolFactory<P>,
  context: CapturedContext,
): [Transport, P] {
  let protocol: P;
  try {
    protocol = makeProtocol(loop, context, makerOf(factory), STREAM_PROTOCOL_METHODS);
  } catch (error) {
    stream.abort();
    throw error;
  }
  const transport = new StreamTransport(loop, stream, protocol, context, null);
  const failure = transport._begin();
  if (failure !== null) throw failure;
  return [transport, protocol];
}
