/** `loop.connectAcceptedSocket`. */

import { checkOptions, checkSignal } from '../../base/validate.ts';
import { captureContext } from '../../loop/context.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import { adopt, checkTakeable } from '../adopt.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { checkFactory } from '../protocol-caller.ts';
import type { TlsServerOptions } from '../tls/tls-options.ts';
import { serverTls, TLS_SERVER_OPTIONS } from '../tls/tls-options.ts';
import type { Transport } from '../transport.ts';
import { attach } from './attach.ts';

export interface AcceptedSocketOptions extends TlsServerOptions, SignalOptions {}

const OPTIONS = ['signal', ...TLS_SERVER_OPTIONS];

/** See `BaseEventLoop.connectAcceptedSocket`. */
export function connectAcceptedSocket<P extends StreamProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  sock: unknown,
  options: AcceptedSocketOptions,
): Future<[Transport, P]> {
  checkFactory(factory);
  checkOptions('options', options, OPTIONS);
  const { signal } = options;
  checkSignal('options.signal', signal);
  checkSupports(loop, 'tcp');
  checkTakeable(loop, 'sock', sock);
  const tls = serverTls(loop, options);
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const adopted = adopt(loop, 'an accepted socket', 'sock', () => capability(loop, 'tcp').adopt(sock));
  return cancelOnAbort(
    operation(loop, 'connectAcceptedSocket', async () =>
      attach(loop, await adopted, factory, context, {}, tls),
    ),
    signal,
  );
}
