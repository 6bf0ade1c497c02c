/**
 * The ways in which programs and hostile peers meet. Each opens a server or an endpoint, lets peers come and
 * go, and answers who took part.
 */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import type { Protocol, Server, Transport } from '../../../src/index.ts';
import { CancelledError, sleep, startServer } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { portOf } from '../../helpers/pairs.ts';
import { converseWithChild } from './child.ts';
import { exchangeDatagrams } from './datagrams.ts';
import { Peer } from './peer.ts';
import { Program } from './program.ts';
import { converse } from './streams.ts';
import type { World } from './world.ts';

/** The participants whose bytes can be judged. */
export interface Meeting {
  readonly programs: Program[];
  readonly peers: Peer[];
}

type Kind = (world: World) => Promise<Meeting>;

/** A connection of a peer; `wire` is the socket beneath TLS. */
interface Reached {
  socket: Socket;
  wire?: Socket;
  /** It does not speak the protocol, and so its bytes are judged by nobody. */
  isStranger?: boolean;
}

const HOST = '127.0.0.1';
/** Peers of one kind in a round, some at once. */
const MOST_PEERS = 100;
const MOST_AT_ONCE = 30;

/** Starts a peer, and answers when it is gone. */
function runPeer(world: World, meeting: Meeting, { socket, wire, isStranger }: Reached): Promise<void> {
  const peer = new Peer(world, socket, wire);
  if (!isStranger) meeting.peers.push(peer);
  return peer.run();
}

/** A server of ours; each peer is a client. */
function serving(
  open: (world: World, factory: () => Program) => PromiseLike<Server>,
  reach: (world: World, server: Server) => Reached,
): Kind {
  return async (world) => {
    const meeting: Meeting = { programs: [], peers: [] };
    const server = await open(world, () => noted(meeting.programs, new Program(world)));
    await comeAndGo(world, () => runPeer(world, meeting, reach(world, server)));
    await finish(server, meeting.programs);
    return meeting;
  };
}

/** A hostile server of Node's; each of our connections is a client. */
function calling(
  accept: (world: World, socket: Socket, meet: (reached: Reached) => void) => void,
  call: (
    world: World,
    address: string | number,
    factory: () => Program,
  ) => PromiseLike<[Transport, Protocol]>,
  on: 'port' | 'path' = 'port',
): Kind {
  return async (world) => {
    const meeting: Meeting = { programs: [], peers: [] };
    const server = createServer({ allowHalfOpen: true });
    const sockets: Socket[] = [];
    server.on('connection', (socket) => {
      sockets.push(socket.on('error', () => {}));
      accept(world, socket, (reached) => void runPeer(world, meeting, reached));
    });
    if (on === 'path') server.listen(join(world.directory, `${world.serial()}.sock`));
    else server.listen(0, HOST);
    await once(server, 'listening');
    const address = server.address() as AddressInfo | string;
    await comeAndGo(world, () =>
      runClient(world, meeting, (factory) =>
        call(world, typeof address === 'string' ? address : address.port, factory),
      ),
    );
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
    return meeting;
  };
}

/** Connects a program, unless that is cancelled, refused or reset, and lets it live for a while. */
async function runClient(
  world: World,
  { programs }: Meeting,
  call: (factory: () => Program) => PromiseLike<[Transport, Protocol]>,
): Promise<void> {
  const program = new Program(world);
  const { loop } = world;
  const connecting = loop.createTask(async () => call(() => program));
  if (program.chance.once(5)) loop.callLater(program.chance.of(3000) / 1e6, () => connecting.cancel());
  await connecting.then(
    () => {},
    () => {},
  );
  if (program.transport === null) return;
  programs.push(program);
  const life = loop.callLater(program.chance.of(200_000) / 1e6, () => program.abort());
  await program.lost;
  life.cancel();
}

/** Only TLS 1.2 has renegotiation. */
function tlsVersion(world: World): object {
  return world.chance.of(2) === 0 ? { maxVersion: 'TLSv1.2' } : {};
}

/** A client of Node's that speaks TLS, or does not. */
function reachTls(world: World, server: Server): Reached {
  const wire = connect(portOf(server), HOST);
  if (world.chance.once(4)) return { socket: wire, isStranger: true };
  const socket = connectTls({ socket: wire, servername: 'localhost', ...clientTls(), ...tlsVersion(world) });
  wire.on('error', () => socket.destroy());
  return { socket, wire };
}

/** A server's side of Node's that speaks TLS, or does not. */
function acceptTls(world: World, wire: Socket, meet: (reached: Reached) => void): void {
  if (world.chance.once(4)) {
    meet({ socket: wire, isStranger: true });
    return;
  }
  const secureContext = createSecureContext({ ...serverTls(), ...tlsVersion(world) });
  const socket = new TLSSocket(wire, { isServer: true, secureContext });
  socket.on('error', () => wire.destroy());
  socket.once('secure', () => meet({ socket, wire }));
}

/** A connection that begins in the clear and is upgraded by startTls(). */
class Upgrading implements Protocol {
  readonly #world: World;
  readonly #program: Program;

  constructor(world: World, program: Program) {
    this.#world = world;
    this.#program = program;
  }

  connectionMade(transport: Transport): void {
    const { loop } = this.#world;
    const program = this.#program;
    const { chance } = program;
    const upgrading = loop.createTask(async () => {
      if (chance.once(3)) await sleep(0);
      program.adopt(await loop.startTls(transport, program, serverTls(), { serverSide: true }));
      program.act('upgraded');
    });
    if (chance.once(5)) loop.callLater(chance.of(3000) / 1e6, () => upgrading.cancel());
    upgrading.addDoneCallback(() => {
      // Garbage, a reset, a cancel: the program may have been told of the end, or not at all.
      if (!upgrading.cancelled()) upgrading.exception();
      if (program.transport === null) transport.abort();
    });
  }
}

const meetAtOnce = (_world: World, socket: Socket, meet: (reached: Reached) => void): void =>
  meet({ socket });

/** Clients of Node's over TCP. */
const reachTcp = (_world: World, server: Server): Reached => ({
  socket: connect({ port: portOf(server), host: HOST, allowHalfOpen: true }),
});

const reachUnix = (_world: World, server: Server): Reached => ({
  socket: connect({
    path: server.sockets[0]?.getsockname() as unknown as string,
    allowHalfOpen: true,
  }),
});

export const KINDS: Readonly<Record<string, Kind>> = {
  tcp: serving((world, factory) => world.loop.createServer(factory, HOST, 0), reachTcp),
  unix: serving(
    (world, factory) => world.loop.createUnixServer(factory, join(world.directory, `${world.serial()}.sock`)),
    reachUnix,
  ),
  tls: serving((world, factory) => world.loop.createServer(factory, HOST, 0, { ssl: serverTls() }), reachTls),
  starttls: serving(
    (world, factory) => world.loop.createServer(() => new Upgrading(world, factory()), HOST, 0),
    reachTls,
  ),
  streams: serving(
    (world) => startServer((reader, writer) => converse(world, reader, writer), HOST, 0),
    reachTcp,
  ),
  'tcp-client': calling(meetAtOnce, (world, port, factory) =>
    world.loop.createConnection(factory, HOST, port as number),
  ),
  'unix-client': calling(
    meetAtOnce,
    (world, path, factory) => world.loop.createUnixConnection(factory, path as string),
    'path',
  ),
  'tls-client': calling(acceptTls, (world, port, factory) =>
    world.loop.createConnection(factory, HOST, port as number, {
      ssl: clientTls(),
      serverHostname: 'localhost',
    }),
  ),
  datagrams: alone(exchangeDatagrams),
  children: alone(converseWithChild),
};

/** For participants without peers that could be compared: each checks what it receives. */
function alone(one: (world: World) => Promise<void>): Kind {
  return async (world) => {
    await comeAndGo(world, () => one(world));
    return { programs: [], peers: [] };
  };
}

/** Lets participants come and go, several at once. */
async function comeAndGo(world: World, one: () => Promise<void>): Promise<void> {
  const { chance, loop } = world;
  let left = 1 + chance.of(MOST_PEERS);
  const lane = async (): Promise<void> => {
    while (left-- > 0 && !world.over) await one();
  };
  const lanes = Array.from({ length: 1 + chance.of(MOST_AT_ONCE) }, () => loop.createTask(lane));
  for (const task of lanes) await task;
}

/** Ends the server and its connections, and waits until each program was told. */
async function finish(server: Server, programs: readonly Program[]): Promise<void> {
  server.close();
  for (const program of programs) program.abort();
  server.abortClients();
  try {
    await server.waitClosed();
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error;
  }
  for (const program of programs) if (program.transport !== null) await program.lost;
}

function noted<T>(list: T[], one: T): T {
  list.push(one);
  return one;
}
