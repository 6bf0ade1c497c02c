/** `loop.startTls`: a connection that goes on encrypted. */
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { checkBoolean, checkOptions, checkSignal, invalidArgType } from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import { captureContext } from '../../loop/context.ts';
import { checkOwn } from '../../loop/ownership.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import type { StreamProtocol } from '../protocol.ts';
import { STREAM_PROTOCOL_METHODS } from '../protocol.ts';
import { checkProtocol } from '../protocol-caller.ts';
import { StreamTransport } from '../stream/stream-transport.ts';
import { Transport } from '../transport.ts';
import type { TlsRole } from './tls-options.ts';
import { clientTls, isWanted, serverTls, TLS_CLIENT_OPTIONS } from './tls-options.ts';
import { handshake, TlsStream, withPeer } from './tls-stream.ts';

export interface StartTlsOptions extends SignalOptions {
  /** Whether this is the server's side. Default: false. */
  serverSide?: boolean;
  /** The name that the certificate must have; `''` asks for none, which is a risk. A client has to say it. */
  serverHostname?: string;
  /** Seconds that the handshake may take. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's end of TLS before the connection is cut. Default: 30. */
  sslShutdownTimeout?: number;
  /** Bytes that the protocol has received already and that belong to TLS. */
  received?: Uint8Array;
}

const OPTIONS = ['serverSide', 'received', 'signal', ...TLS_CLIENT_OPTIONS.filter((name) => name !== 'ssl')];

/** By the transport that was upgraded: the new one. */
const successors: WeakMap<object, StreamTransport> = new WeakMap();

/** The transport that has taken over from `transport`, however often; or itself. */
export function currentTransport<T extends object>(transport: T): T | StreamTransport {
  let current: T | StreamTransport = transport;
  for (;;) {
    const successor = successors.get(current);
    if (successor === undefined) return current;
    current = successor;
  }
}

/** See `BaseEventLoop.startTls`. */
export function startTls(
  loop: Loop,
  transport: Transport,
  protocol: StreamProtocol,
  ssl: unknown,
  options: StartTlsOptions,
): Future<Transport> {
  checkOptions('options', options, OPTIONS);
  const { serverSide = false, received, signal } = options;
  checkBoolean('options.serverSide', serverSide);
  checkSignal('options.signal', signal);
  if (received !== undefined && !(received instanceof Uint8Array)) {
    throw invalidArgType('options.received', received, 'a Uint8Array');
  }
  checkUpgradable(loop, transport);
  checkProtocol('protocol', protocol, STREAM_PROTOCOL_METHODS);
  const side = upgradeSide(loop, ssl, serverSide, options);
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<Transport>(loop), signal);
  const context = captureContext(loop);
  const upgrading = operation(loop, 'startTls', () =>
    upgrade(loop, transport, protocol, context, side, received ?? null),
  );
  return cancelOnAbort(upgrading, signal);
}

/** To be called within an `operation()`. Answers the new transport. */
export async function upgrade(
  loop: Loop,
  transport: Transport,
  protocol: StreamProtocol,
  context: CapturedContext,
  side: TlsRole,
  received: Uint8Array | null,
): Promise<Transport> {
  const stream = await secure(loop, transport, protocol, side, received);
  stream.checkNotLost();
  const upper = new StreamTransport(loop, stream, protocol, context, null);
  successors.set(transport, upper);
  // It begins to read without a `connectionMade`: the protocol has had its own.
  upper.pauseReading();
  upper.resumeReading();
  return upper;
}

export function checkUpgradable(loop: Loop, transport: unknown): void {
  if (!(transport instanceof Transport) || transport.getExtraInfo('pipe') !== null) {
    throw invalidArgType('transport', transport, 'a stream transport in both directions');
  }
  checkOwn('transport', transport, loop);
  if (transport.isClosing()) {
    throw new LoopError('ERR_TRANSPORT_CLOSED', 'startTls(): this connection is closed');
  }
  if (transport instanceof StreamTransport && transport._sendsFile) {
    throw new InvalidStateError('startTls(): a file is being sent over this transport');
  }
  if (transport.getProtocol() instanceof TlsStream) {
    throw new InvalidStateError(
      'startTls(): this connection is encrypted already, or about to be: use the transport that was answered',
    );
  }
}

/** What is asked for, checked at the call. */
export function upgradeSide(
  loop: Loop,
  ssl: unknown,
  serverSide: boolean,
  options: StartTlsOptions,
): TlsRole {
  if (!isWanted(ssl)) throw invalidArgType('ssl', ssl, 'what TLS is to be made with');
  if (serverSide && options.serverHostname !== undefined) {
    throw invalidArgType('options.serverHostname', options.serverHostname, "absent on the server's side");
  }
  const wish = { ...options, ssl };
  return (serverSide ? serverTls(loop, wish, 'ssl') : clientTls(loop, wish, null, 'ssl')) as TlsRole;
}

function secure(
  loop: Loop,
  transport: Transport,
  protocol: StreamProtocol,
  side: TlsRole,
  received: Uint8Array | null,
): Future<TlsStream> {
  const peer = withPeer(transport.getExtraInfo('peername'));
  const start = (layer: TlsStream): void => {
    transport.setProtocol(layer);
    layer.connectionMade(transport);
    if (received !== null) layer.dataReceived(Buffer.from(received));
    // The protocol may have paused it, with its own bytes in mind.
    transport.resumeReading();
  };
  return handshake(loop, side, peer, start, heirOf(transport, protocol));
}

/** What the protocol is told as long as there is no new transport to tell it. */
function heirOf(transport: Transport, protocol: StreamProtocol): StreamProtocol {
  const fallbackProtocol: StreamProtocol = { connectionLost: (error) => protocol.connectionLost?.(error) };
  // It may wait for that since before.
  if (transport.getProtocol() === protocol) fallbackProtocol.resumeWriting = () => protocol.resumeWriting?.();
  return fallbackProtocol;
}
