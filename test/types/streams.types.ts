/** The types of the streams, as a user meets them. Compiled, never run. */
import type { ConnectionCallback, Future, Server, SocketAddress, StreamWriter, Transport } from 'gyre';
import { openConnection, StreamReader, startServer } from 'gyre';
import type { Equals } from './equals.ts';
import { check } from './equals.ts';

declare const reader: StreamReader;
declare const writer: StreamWriter;

// --- reading ---

const read = reader.read();
const some = reader.read(10, { signal: AbortSignal.abort() });
const line = reader.readline();
const exactly = reader.readexactly(4);
const until = reader.readuntil(['\r\n', Uint8Array.of(0)]);
const iterated = reader.lines().next();
check<Equals<typeof read, Future<Buffer>>>();
check<Equals<typeof some, Future<Buffer>>>();
check<Equals<typeof line, Future<Buffer>>>();
check<Equals<typeof exactly, Future<Buffer>>>();
check<Equals<typeof until, Future<Buffer>>>();
check<Equals<typeof iterated, Promise<IteratorResult<Buffer>>>>();
check<Equals<ReturnType<StreamReader['exception']>, Error | null>>();

export async function iterate(): Promise<void> {
  for await (const chunk of reader) chunk satisfies Buffer;
  for await (const each of reader.lines()) each satisfies Buffer;
}

reader.readuntil(Buffer.from(';'));
reader.readuntil('\n' as const, {});
new StreamReader({ limit: 1024 }).feedData('text');
// @ts-expect-error a number of bytes is asked for
reader.readexactly();
// @ts-expect-error no string
reader.read('10');
// @ts-expect-error a separator is text or bytes
reader.readuntil(10);
// @ts-expect-error an exception is an Error
reader.setException('lost');
// @ts-expect-error the limit of a reader stays what it is
reader.limit = 5;
// @ts-expect-error no such option
new StreamReader({ limits: 5 });

// --- writing ---

const drained = writer.drain();
const closed = writer.waitClosed({});
const peer = writer.getExtraInfo('peername');
const fallback = writer.getExtraInfo('peername', 'none' as const);
const unknownInfo = writer.getExtraInfo('a fact of nobody');
check<Equals<typeof drained, Future<void>>>();
check<Equals<typeof closed, Future<void>>>();
check<Equals<typeof peer, SocketAddress | null>>();
check<Equals<typeof fallback, SocketAddress | 'none'>>();
check<Equals<typeof unknownInfo, unknown>>();
check<Equals<typeof writer.transport, Transport>>();

export async function disposing(): Promise<void> {
  await using closing = writer;
  closing.write('text');
  closing.writelines(['text', Uint8Array.of(1)]);
}

// @ts-expect-error text or bytes
writer.write(5);
// @ts-expect-error a list of them
writer.writelines(5);

// --- opening ---

export async function open(): Promise<void> {
  const connection = await openConnection('localhost', 80, { limit: 1024, noDelay: false });
  connection satisfies [StreamReader, StreamWriter];
  const server = await startServer((_reader, _writer) => {}, ['::1', '127.0.0.1'], 0, {
    limit: 1024,
    backlog: 5,
  });
  server satisfies Server;
  await startServer(async (_reader, writer) => writer.close(), null, 0);
  const serve: ConnectionCallback = async (from, to) => {
    to.write(await from.readline());
  };
  await startServer(serve, '', 80);
  // @ts-expect-error what a callback answers is awaited and dropped: text is a mistake
  await startServer(() => 'text', null, 0);
  // @ts-expect-error no such option
  await openConnection('localhost', 80, { limits: 5 });
  await openConnection('localhost', 'http');
  // @ts-expect-error a port is a number, or the name of a service
  await openConnection('localhost', true);
}

check<Equals<ReturnType<typeof openConnection>, Future<[StreamReader, StreamWriter]>>>();
check<Equals<ReturnType<typeof startServer>, Future<Server>>>();
