/** `loop.connectReadPipe` and `loop.connectWritePipe`. */

import { checkOptions, checkSignal } from '../../base/validate.ts';
import { captureContext } from '../../loop/context.ts';
import { checkOwn } from '../../loop/ownership.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import { adopt, checkUnwatched } from '../adopt.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { checkFactory } from '../protocol-caller.ts';
import type { ReadTransport, Transport, WriteTransport } from '../transport.ts';
import { attach } from './attach.ts';

/** See `BaseEventLoop.connectReadPipe`. */
export function connectReadPipe<P extends StreamProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  pipe: unknown,
  options: SignalOptions,
): Future<[ReadTransport, P]> {
  return connectPipe(loop, factory, pipe, 'read', options);
}

/** See `BaseEventLoop.connectWritePipe`. */
export function connectWritePipe<P extends StreamProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  pipe: unknown,
  options: SignalOptions,
): Future<[WriteTransport, P]> {
  return connectPipe(loop, factory, pipe, 'write', options);
}

function connectPipe<P extends StreamProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  pipe: unknown,
  direction: 'read' | 'write',
  options: SignalOptions,
): Future<[Transport, P]> {
  checkFactory(factory);
  checkOptions('options', options, ['signal']);
  const { signal } = options;
  checkSignal('options.signal', signal);
  checkSupports(loop, 'pipes');
  checkOwn('pipe', pipe, loop);
  checkUnwatched(loop, pipe);
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const adopted = adopt(loop, 'a pipe', 'pipe', () => capability(loop, 'pipes').open(pipe, direction));
  const name = direction === 'read' ? 'connectReadPipe' : 'connectWritePipe';
  return cancelOnAbort(
    operation(loop, name, async () => attach(loop, await adopted, factory, context, {}, null)),
    signal,
  );
}
