/** The types of `gyre/node`, as a user meets them. Compiled, never run. */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import type { Future, Transport } from 'gyre';
import { getRunningLoop, Protocol } from 'gyre';
import type { TransportDuplex } from 'gyre/node';
import { connectDuplex, fromDuplex, toDuplex, toWebStreams } from 'gyre/node';
import type { Equals } from './equals.ts';
import { check } from './equals.ts';

declare const transport: Transport;
declare const duplex: Duplex;

class Echo extends Protocol {}

// --- duplexes ---

const over = toDuplex(transport, { allowHalfOpen: true, received: Buffer.from('x') });
const connecting = connectDuplex((factory) => getRunningLoop().createConnection(factory, 'localhost', 80));
check<Equals<typeof over, TransportDuplex>>();
check<Equals<typeof connecting, TransportDuplex>>();

/** Accepts a socket. With `exactOptionalPropertyTypes`, as here, a duplex needs a cast. */
export const socket: Socket = over as Socket;
check<Equals<Exclude<keyof Socket, keyof TransportDuplex>, never>>();
export const stream: Duplex = over;

connectDuplex(async (factory) => {
  await fromDuplex(duplex, factory);
});
// @ts-expect-error: nothing was received of a connection that is yet to be made
connectDuplex(() => Promise.resolve(), { received: Buffer.from('x') });
// @ts-expect-error: a transport, not a promise of one
toDuplex(Promise.resolve(transport));

// --- transports ---

const pair = fromDuplex(duplex, () => new Echo());
check<Equals<typeof pair, Future<[Transport, Echo]>>>();

// --- Web streams ---

const { readable, writable } = toWebStreams(transport);
check<Equals<typeof readable, ReadableStream<Uint8Array>>>();
check<Equals<typeof writable, WritableStream<string | Uint8Array>>>();
export const bytesOnly: WritableStream<Uint8Array> = writable;
export const piped: Promise<void> = readable.pipeTo(writable);
