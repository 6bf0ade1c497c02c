/** `fromDuplex`: a gyre transport over a Node `Duplex`. */

import { Duplex } from 'node:stream';
import { checkOptions, checkSignal, invalidArgType } from '../base/validate.ts';
import { captureContext } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { adopt } from '../net/adopt.ts';
import type { ProtocolFactory, StreamProtocol } from '../net/protocol.ts';
import { checkFactory } from '../net/protocol-caller.ts';
import { attach } from '../net/stream/attach.ts';
import type { Transport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { loopFor } from './adapter.ts';
import { DuplexStream } from './duplex-stream.ts';

export interface FromDuplexOptions extends SignalOptions {
  /** The loop of the transport. Default: the running loop. */
  loop?: Loop;
}

/**
 * Attaches a protocol to a Node `Duplex`: one end of a pair in memory, a `tls.TLSSocket`, an SSH channel, the
 * stream of a WebSocket. The transport behaves like any other: water marks, half-close, order of calls. For a
 * `net.Socket` or a file descriptor use `loop.createConnection(factory, null, null, { sock })`, which
 * supports more.
 *
 * The transport owns the duplex from now on. `transport.close()` ends and destroys the duplex,
 * `transport.abort()` destroys it. `allowHalfOpen` is set. If the duplex is destroyed without an end and
 * without an error, the connection is lost with `ERR_STREAM_PREMATURE_CLOSE`.
 *
 * If the duplex throws, or a listener that it calls, the loop reports the exception to its exception handler,
 * aborts the connection, and passes the exception to `connectionLost`. An error of the duplex ends the
 * connection, even if the duplex does not destroy itself (`autoDestroy: false`) or emits no `close`
 * (`emitClose: false`).
 *
 * @param duplex a duplex that is open in both directions, for bytes: without object mode and `setEncoding()`
 * @param protocolFactory makes the protocol
 * @param options `loop`: default is the running loop; `signal`
 * @returns the transport and the protocol
 * @throws TypeError for another kind of duplex; LoopError `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`
 *
 * **Cancellation** destroys the duplex, unless the signal was aborted from the beginning.
 *
 * **Backends** All backends support it, because the events come from the duplex and not from the loop. On the
 * simulated loop these events are outside of virtual time, which may jump while they are under way.
 *
 * @example
 * ```ts
 * import type { Transport } from 'gyre';
 * import { Protocol, run } from 'gyre';
 * import { fromDuplex } from 'gyre/node';
 * import { once } from 'node:events';
 * import type { AddressInfo } from 'node:net';
 * import { connect, createServer } from 'node:net';
 *
 * class Greeter extends Protocol {
 *   override connectionMade(transport: Transport): void {
 *     transport.write('hello\n');
 *     transport.close();
 *   }
 * }
 *
 * await run(async () => {
 *   const server = createServer((socket) => void fromDuplex(socket, () => new Greeter()));
 *   await once(server.listen(0, '127.0.0.1'), 'listening');
 *   const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
 *   for await (const data of client) console.log(String(data).trim()); // hello
 *   server.close();
 * });
 * ```
 */
export function fromDuplex<P extends StreamProtocol>(
  duplex: Duplex,
  protocolFactory: ProtocolFactory<P>,
  options: FromDuplexOptions = {},
): Future<[Transport, P]> {
  checkDuplex(duplex);
  checkFactory(protocolFactory);
  checkOptions('options', options, ['loop', 'signal']);
  checkSignal('options.signal', options.signal);
  const loop = loopFor(options.loop);
  const { signal } = options;
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const report = (exception: unknown): void =>
    loop.callExceptionHandler({
      message: 'exception in a duplex of fromDuplex(): its connection is aborted',
      exception,
      duplex,
    });
  const adopted = adopt(loop, 'a duplex', 'duplex', () => {
    const stream = new DuplexStream(duplex, report);
    taken.add(duplex);
    return stream;
  });
  return cancelOnAbort(
    operation(loop, 'fromDuplex', async () =>
      attach(loop, await adopted, protocolFactory, context, {}, null),
    ),
    signal,
  );
}

/** The duplexes that have a transport. A second transport would take data from the first. */
const taken: WeakSet<Duplex> = new WeakSet();

function checkDuplex(duplex: Duplex): void {
  if (!(duplex instanceof Duplex)) throw invalidArgType('duplex', duplex, 'a Duplex of node:stream');
  if (duplex.readableObjectMode || duplex.writableObjectMode) {
    throw invalidArgType('duplex', duplex, 'a duplex of bytes, without object mode');
  }
  if (duplex.readableEncoding !== null) {
    throw invalidArgType('duplex', duplex, 'a duplex of bytes, without setEncoding()');
  }
  if (duplex.destroyed || duplex.writableEnded || duplex.readableEnded) {
    throw invalidArgType('duplex', duplex, 'a duplex that is open in both directions');
  }
  if (taken.has(duplex)) throw invalidArgType('duplex', duplex, 'a duplex without another transport');
}
