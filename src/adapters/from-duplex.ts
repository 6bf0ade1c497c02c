/** `fromDuplex`: a gyre transport over a Node `Duplex`. */
import { Duplex } from 'node:stream';
import { checkFunction, checkOptions, checkSignal, invalidArgType } from '../base/validate.ts';
import { captureContext } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { adopt } from '../net/adopt.ts';
import type { StreamProtocol } from '../net/protocol.ts';
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
 * Joins a protocol to a Node `Duplex`: one end of a pair in memory, a `tls.TLSSocket`, an SSH channel, a
 * WebSocket's stream. The transport is like any other: water marks, half-close, order of calls. For a
 * `net.Socket` or a descriptor use `loop.createConnection(factory, null, null, { sock })`, which knows more
 * of it.
 *
 * From now on the duplex is the transport's: closing the transport ends and destroys it, aborting destroys
 * it. `allowHalfOpen` is set. A duplex that is destroyed without an end and without an error has lost its
 * connection: `ERR_STREAM_PREMATURE_CLOSE`.
 *
 * An exception that the duplex throws, or a listener that it calls, goes to the loop's exception handler;
 * then the connection is aborted, and lost by it. An error of the duplex ends the connection even if the
 * duplex does not destroy itself (`autoDestroy: false`) or does not say so (`emitClose: false`).
 *
 * @param duplex open in both directions; for bytes, so without object mode and without `setEncoding()`
 * @param protocolFactory makes the protocol
 * @param options `loop`: default is the running loop; `signal`
 * @returns the transport and the protocol
 * @throws TypeError for what is no such duplex; LoopError `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`
 *
 * **Cancellation** destroys the duplex, unless the signal was aborted from the beginning.
 *
 * **Backends** all of them: the events come from the duplex, not from the loop. On the simulated loop they
 * are no part of its time, which may jump while they are on their way.
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
  protocolFactory: () => P,
  options: FromDuplexOptions = {},
): Future<[Transport, P]> {
  checkDuplex(duplex);
  checkFunction('protocolFactory', protocolFactory);
  checkOptions('options', options, ['loop', 'signal']);
  checkSignal('options.signal', options.signal);
  const loop = loopFor(options.loop);
  const { signal } = options;
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const report = (exception: unknown): void =>
    loop.callExceptionHandler({
      message: 'exception in a duplex of fromDuplex(): its connection is aborted',
      exception,
      duplex,
    });
  const adopted = adopt(loop, 'a duplex', () => {
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

/** What a transport has: a second one would take its data. */
const taken: WeakSet<Duplex> = new WeakSet();

function checkDuplex(duplex: Duplex): void {
  if (!(duplex instanceof Duplex)) throw invalidArgType('duplex', duplex, 'a Duplex of node:stream');
  if (duplex.readableObjectMode || duplex.writableObjectMode) {
    throw invalidArgType('duplex', duplex, 'a duplex of bytes: it is in object mode');
  }
  if (duplex.readableEncoding !== null) {
    throw invalidArgType('duplex', duplex, 'a duplex that reads bytes: it has a character encoding');
  }
  if (duplex.destroyed || duplex.writableEnded || duplex.readableEnded) {
    throw invalidArgType('duplex', duplex, 'a duplex that is open in both directions');
  }
  if (taken.has(duplex)) throw invalidArgType('duplex', duplex, 'a duplex that no other transport has');
}
