/**
 * `npm start`: a tour of one loop with real sockets, timers and tasks. `npm start -- --serve` keeps the chat
 * server up until Ctrl-C.
 */
import { connect as netConnect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Server, StreamReader, StreamWriter, Transport } from 'gyre';
import {
  backendInfo,
  CancelledError,
  Event,
  getRunningLoop,
  openConnection,
  Protocol,
  run,
  sleep,
  startServer,
  TimeoutError,
  taskGroup,
  timeout,
} from 'gyre';
import { ChatMember, ChatRoom } from './chat.ts';

const MEBIBYTE = 1024 * 1024;
const began = performance.now();

function say(line: string): void {
  const ms = (performance.now() - began).toFixed(1).padStart(8);
  console.log(`${ms} ms  ${line}`);
}

function title(line: string): void {
  console.log(`\n── ${line}`);
}

function portOf(server: Server): number {
  return server.sockets[0]?.getsockname()?.[1] as number;
}

// --- 1. a chat server by protocol, three clients of three kinds ---

/** A client by protocol: keeps the lines that it reads, and lets others wait for one. */
class Listener extends Protocol {
  readonly heard: string[] = [];
  readonly #heardMore: Event = new Event();
  transport: Transport | null = null;

  async hears(line: string): Promise<void> {
    while (!this.heard.includes(line)) {
      this.#heardMore.clear();
      await this.#heardMore.wait();
    }
  }

  override connectionMade(transport: Transport): void {
    this.transport = transport;
    transport.write('Ada\n');
  }

  override dataReceived(data: Buffer): void {
    this.heard.push(...data.toString().trim().split('\n'));
    this.#heardMore.set();
  }
}

/** A foreign client: Node's own `net`, which knows nothing of gyre. */
function foreignClient(port: number, lines: string[]): void {
  const socket = netConnect(port, '127.0.0.1', () => {
    for (const line of lines) socket.write(`${line}\n`);
  });
  const reader = createInterface({ input: socket });
  reader.on('line', (line) => {
    if (line.startsWith('Grace')) socket.end();
  });
}

async function chat(): Promise<void> {
  title('A chat server by protocol; a client by protocol, one of Node’s net, one by streams');
  const loop = getRunningLoop();
  const room = new ChatRoom((line) => say(`   room │ ${line}`));
  const server = await loop.createServer(() => new ChatMember(room), '127.0.0.1', 0);
  const port = portOf(server);
  say(`serving on 127.0.0.1:${port}`);

  const [transport, ada] = await loop.createConnection(() => new Listener(), 'localhost', port);
  foreignClient(port, ['Linus', 'hello from net']);
  // A client that joins later does not get earlier lines.
  await timeout(5, () => ada.hears('Linus: hello from net'));

  const [reader, writer] = await openConnection('127.0.0.1', port);
  await reader.readline();
  writer.write('Grace\ngood day\n');
  await writer.drain();

  await timeout(5, () => ada.hears('Grace: good day'));
  say(`Ada read ${ada.heard.length} lines, the last: “${ada.heard.at(-1)}”`);
  writer.close();
  await writer.waitClosed();
  transport.close();
  server.close();
  await server.waitClosed();
  say('server closed, every connection gone');
}

// --- 2. timers ---

async function timers(): Promise<void> {
  title('Timers: in order of deadline, never early');
  const loop = getRunningLoop();
  const start = loop.time();
  const lateness: number[] = [];
  const done = loop.createFuture<void>();
  for (const ms of [30, 10, 20]) {
    loop.callLater(ms / 1000, () => {
      lateness.push((loop.time() - start) * 1000 - ms);
      say(`${ms} ms timer`);
      if (lateness.length === 3) done.setResult();
    });
  }
  await done;
  const [, median = 0, worst = 0] = lateness.toSorted((a, b) => a - b);
  const busy = worst < 1 ? '' : ` and ${worst.toFixed(1)} ms at most: other programs keep this machine busy`;
  say(`none was early; they were ${median.toFixed(2)} ms late at the median${busy}`);
  const count = 100_000;
  const since = loop.time();
  for (let i = 0; i < count; i++) loop.callLater(3600, () => {}).cancel();
  say(`${count} timers made and cancelled in ${((loop.time() - since) * 1000).toFixed(1)} ms`);
}

// --- 3. a task group, a timeout, a cancelled task ---

async function tasks(): Promise<void> {
  title('A task group under a timeout; a task cancelled in the middle of its sleep');
  try {
    await timeout(0.2, () =>
      taskGroup(async (group) => {
        group.createTask(async () => {
          await sleep(0.01);
          say('the quick task is done');
        });
        group.createTask(async () => {
          try {
            await sleep(3600);
          } finally {
            say('the slow task was cancelled, and cleans up …');
            await sleep(0.005);
            say('… with an await of its own');
          }
        });
      }),
    );
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    say(`TimeoutError: ${error.message}`);
  }

  const task = getRunningLoop().createTask(async () => {
    await sleep(3600);
  });
  await sleep(0.01);
  task.cancel('not needed any more');
  await task.catch((error: unknown) => {
    if (!(error instanceof CancelledError)) throw error;
    say(`CancelledError: ${error.message}`);
  });
}

// --- 4. back-pressure ---

/** Writes without end until its protocol is paused. */
class Fountain extends Protocol {
  readonly pauses: number[] = [];
  resumes = 0;
  written = 0;
  readonly #bytes: number;
  readonly #chunk: Buffer = Buffer.alloc(64 * 1024);
  #paused = false;
  #transport: Transport | null = null;

  constructor(bytes: number) {
    super();
    this.#bytes = bytes;
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.#pour();
  }

  override pauseWriting(): void {
    this.#paused = true;
    this.pauses.push(this.#transport?.getWriteBufferSize() ?? 0);
  }

  override resumeWriting(): void {
    this.#paused = false;
    this.resumes++;
    this.#pour();
  }

  #pour(): void {
    while (!this.#paused && this.written < this.#bytes) {
      this.written += this.#chunk.length;
      this.#transport?.write(this.#chunk);
    }
    if (this.written >= this.#bytes) this.#transport?.close();
  }
}

async function backPressure(): Promise<void> {
  title('Back-pressure: 64 MiB to a reader that is slow at first');
  const loop = getRunningLoop();
  const fountain = new Fountain(64 * MEBIBYTE);
  const server = await loop.createServer(() => fountain, '127.0.0.1', 0);
  const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
  await sleep(0.05);
  say(`the reader sleeps: the writer stands at ${(fountain.written / MEBIBYTE).toFixed(1)} MiB, paused`);
  const since = loop.time();
  let bytes = 0;
  for await (const chunk of reader) bytes += chunk.length;
  const seconds = loop.time() - since;
  say(`${bytes / MEBIBYTE} MiB read at ${(bytes / MEBIBYTE / seconds).toFixed(0)} MiB/s`);
  const most = Math.max(...fountain.pauses) / 1024;
  say(
    `paused ${fountain.pauses.length} times, resumed ${fountain.resumes}; never more than ${most.toFixed(0)} KiB waited`,
  );
  if (bytes !== 64 * MEBIBYTE || fountain.resumes === 0) throw new Error('the back-pressure part went wrong');
  writer.close();
  server.close();
  await server.waitClosed();
}

// --- 5. how fast ---

async function echoClient(port: number, rounds: number): Promise<void> {
  const [reader, writer] = await openConnection('127.0.0.1', port);
  for (let i = 0; i < rounds; i++) {
    writer.write('ping\n');
    await reader.readline();
  }
  writer.close();
  await writer.waitClosed();
}

async function echo(): Promise<void> {
  title('Echo by streams: 50 clients at once on this one loop');
  const loop = getRunningLoop();
  const serve = async (reader: StreamReader, writer: StreamWriter): Promise<void> => {
    for await (const line of reader.lines()) {
      writer.write(line);
      await writer.drain();
    }
    writer.close();
  };
  const server = await startServer(serve, '127.0.0.1', 0);
  const clients = 50;
  const rounds = 200;
  const since = loop.time();
  await taskGroup(async (group) => {
    for (let i = 0; i < clients; i++) group.createTask(() => echoClient(portOf(server), rounds));
  });
  const seconds = loop.time() - since;
  say(`${clients * rounds} lines there and back in ${(seconds * 1000).toFixed(0)} ms`);
  server.close();
  await server.waitClosed();
}

async function tour(): Promise<void> {
  const { backend, reason } = backendInfo();
  title(`This tour runs on the ${backend} backend: ${reason}`);
  await chat();
  await timers();
  await tasks();
  await backPressure();
  await echo();
  title('Done');
}

async function serve(port: number): Promise<void> {
  const room = new ChatRoom(console.log);
  const server = await getRunningLoop().createServer(() => new ChatMember(room), '127.0.0.1', port);
  console.log(`chat on 127.0.0.1:${portOf(server)}: try \`nc 127.0.0.1 ${portOf(server)}\`. Ctrl-C ends it.`);
  try {
    await sleep(Number.POSITIVE_INFINITY);
  } finally {
    console.log(`\nclosing: ${room.size} in the room`);
    server.close();
    room.closeAll();
    server.closeClients();
    await server.waitClosed();
  }
}

const servePort = process.argv.includes('--serve') ? Number(process.env.PORT ?? 4000) : null;
if (servePort === null) {
  await run(tour);
  say('the loop is closed; nothing was left');
} else {
  await run(() => serve(servePort)).catch((error: unknown) => {
    if (!(error instanceof CancelledError)) throw error;
    console.log('closed');
  });
}
