/** `loop.startTls`: upgrades an open connection to TLS. */
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
import { handshake, withPeer } from './handshake.ts';
import type { TlsRole } from './tls-options.ts';
import { clientTls, isWanted, serverTls, TLS_CLIENT_OPTIONS } from './tls-options.ts';
import { TlsStream } from './tls-stream.ts';

export interface StartTlsOptions extends SignalOptions {
  /** Whether this is the server side. Default: false. */
  serverSide?: boolean;
  /**
   * The host name that the certificate must have. `''` accepts any certificate name, which is a risk. A
   * client must pass it.
   */
  serverHostname?: string;
  /** Seconds until the handshake times out. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's close_notify before the connection is aborted. Default: 30. */
  sslShutdownTimeout?: number;
  /** TLS bytes that the protocol has already received. */
  received?: Uint8Array;
}

const OPTIONS = ['serverSide', 'received', 'signal', ...TLS_CLIENT_OPTIONS.filter((name) => name !== 'ssl')];

/** The new transport of each transport that was upgraded. */
const successors: WeakMap<object, StreamTransport> = new WeakMap();

/** Returns the last transport that has replaced `transport`, or `transport` itself. */
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
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<Transport>(loop), signal);
  const context = captureContext(loop);
  const upgrading = operation(loop, 'startTls', () =>
    upgrade(loop, transport, protocol, context, side, received ?? null),
  );
  return cancelOnAbort(upgrading, signal);
}

/** Upgrades a checked transport, and returns the new one. Call it within an `operation()`. */
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
  // Start reading without `connectionMade`, because the protocol has had that call already.
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
      'startTls(): this transport carries TLS data already; use the transport that startTls() returned',
    );
  }
}

/** Checks the TLS options at the call. */
export function upgradeSide(
  loop: Loop,
  ssl: unknown,
  serverSide: boolean,
  options: StartTlsOptions,
): TlsRole {
  if (!isWanted(ssl)) throw invalidArgType('ssl', ssl, 'TLS options or a tls.SecureContext');
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
    // The protocol may have paused reading, meaning its own data.
    transport.resumeReading();
  };
  return handshake(loop, side, peer, start, fallbackFor(transport, protocol));
}

/** Makes the protocol that is called while there is no new transport. */
function fallbackFor(transport: Transport, protocol: StreamProtocol): StreamProtocol {
  const fallbackProtocol: StreamProtocol = { connectionLost: (error) => protocol.connectionLost?.(error) };
  // The protocol may have been paused before the upgrade.
  if (transport.getProtocol() === protocol) fallbackProtocol.resumeWriting = () => protocol.resumeWriting?.();
  return fallbackProtocol;
}
