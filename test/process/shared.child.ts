/**
 * Transports over pipes and sockets that a child shares: `node shared.child.ts scenario`. This needs a
 * process of its own: if `read()` or `write()` blocks, the whole process stops. Prints each passed step on
 * its standard error.
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, constants, readFileSync, writeSync } from 'node:fs';
import type { AddressInfo, Server as NodeServer, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type {
  ReadTransport,
  Server,
  SubprocessOptions,
  SubprocessTransport,
  Transport,
  WriteTransport,
} from '../../src/index.ts';
import { DEVNULL, Protocol, SubprocessProtocol, sleep } from '../../src/index.ts';
import { listening } from '../helpers/descriptors.ts';
import { isNative, makeLoop, portOf, Recorder } from '../helpers/pairs.ts';
import { pipeEnds } from '../helpers/unix-pairs.ts';

/** More than any pipe or socket accepts. */
const FLOOD = Buffer.alloc(4 << 20, 'flood');
/** As much as libuv reads at once; then it reads again. */
const WHOLE_READ = 65_536;

const loop = makeLoop();
const children: (SubprocessTransport | ChildProcess)[] = [];

function report(word: string): void {
  writeSync(2, `${word}\n`);
}

/** Starts a child that neither reads nor writes. */
async function start(options: SubprocessOptions): Promise<SubprocessTransport> {
  const none = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL };
  const [child] = await loop.subprocessExec(() => new SubprocessProtocol(), 'sleep', ['1000'], {
    ...none,
    ...options,
  });
  children.push(child);
  return child;
}

/** Does the same with Node's own API. */
function startByNode(stdio: StdioOptions): void {
  children.push(spawn('sleep', ['1000'], { stdio }));
}

function endChildren(): void {
  for (const child of children.splice(0)) child.kill();
}

/**
 * Writes more than there is room for, and then more from a callback of the host. Ends once the loop has
 * continued.
 */
async function clog(transport: WriteTransport): Promise<void> {
  transport.write(FLOOD);
  await sleep(0.01);
  transport.write(FLOOD);
  await sleep(0.01);
  if (transport.getWriteBufferSize() === 0) throw new Error('there was room for all of it');
}

/** Reads everything that the test writes on request. Ends once the loop has continued. */
async function drain(near: Recorder, write: () => void): Promise<void> {
  write();
  await near.untilReceived(WHOLE_READ);
  await sleep(0.01);
}

async function ended(transport: Transport, near: Recorder): Promise<void> {
  transport.abort();
  await near.untilLost();
  endChildren();
}

const scenarios: Record<string, () => Promise<void>> = {
  stdin: async () => {
    for (const pipe of [0, process.stdin]) {
      for (const start of [
        startWith({ stdin: 'inherit' }),
        startByNodeWith(['inherit', 'ignore', 'ignore']),
      ]) {
        const near = new Recorder();
        const [transport] = await loop.connectReadPipe(() => near, pipe);
        await start();
        await drain(near, () => report('ready'));
        await ended(transport as Transport, near);
      }
    }
  },
  stdout: async () => {
    for (const pipe of [1, process.stdout]) {
      for (const start of [
        startWith({ stdout: 'inherit' }),
        startByNodeWith(['ignore', 'inherit', 'ignore']),
        startWith({ stdout: 'inherit' }, { stdout: 'inherit', stderr: 1 }),
      ]) {
        const near = new Recorder();
        const [transport] = await loop.connectWritePipe(() => near, pipe);
        await start();
        await clog(transport);
        report('went on');
        // Now the pipe is full before the child starts.
        await start();
        await clog(transport);
        report('went on');
        await ended(transport as Transport, near);
      }
    }
  },
  'pipe to write to': async () => {
    for (const byNode of [false, true]) {
      const { read, write } = pipeEnds();
      const near = new Recorder();
      const [transport] = await loop.connectWritePipe(() => near, write);
      if (byNode) startByNode(['ignore', write, 'ignore']);
      else await start({ stdout: write });
      await clog(transport);
      report('went on');
      await ended(transport as Transport, near);
      closeSync(read);
    }
  },
  'pipe to read from': async () => {
    for (const byNode of [false, true]) {
      const { read, write } = pipeEnds();
      const near = new Recorder();
      const [transport] = await loop.connectReadPipe(() => near, read);
      if (byNode) startByNode([read, 'ignore', 'ignore']);
      else await start({ stdin: read });
      await drain(near, () => writeSync(write, FLOOD.subarray(0, WHOLE_READ)));
      report('went on');
      await ended(transport as Transport, near);
      closeSync(write);
    }
  },
  'pipe of another child': async () => {
    const child = await start({ stdin: undefined as never, stdout: undefined as never });
    const stdin = child.getPipeTransport(0) as Transport;
    await start({ stdout: descriptorOf(stdin) });
    await clog(stdin);
    report('went on');
    await start({ stdin: descriptorOf(child.getPipeTransport(1) as Transport) });
    await sleep(0.01);
    report('went on');
    endChildren();
  },
  'connection of Node': async () => {
    const [near, far] = await nodeSockets();
    const [transport] = await loop.connectAcceptedSocket(() => new Protocol(), near);
    await start({ stdin: near });
    await clog(transport);
    report('went on');
    endChildren();
    transport.abort();
    far.destroy();
  },
  listener: async () => {
    const nodeServer = createServer();
    const { fd } = await listen(nodeServer);
    const servers: [Server, number][] = [];
    servers.push([await loop.createServer(() => new Protocol(), null, null, { sock: nodeServer }), fd]);
    if (isNative) {
      const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
      servers.push([server, server.sockets[0]?.fileno() as number]);
    }
    for (const [server, fd] of servers) {
      await start({ stdin: fd });
      const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', portOf(server));
      await sleep(0.01);
      report('went on');
      transport.abort();
      server.close();
      endChildren();
    }
  },
  'listening socket': async () => {
    const listener = listening();
    await start({ stdin: listener.fileno() });
    const accepting = loop.sockAccept(listener);
    await sleep(0.01);
    report('went on');
    accepting.cancel();
    listener.close();
    endChildren();
  },
  // The child has blocking standard streams, and the other holders find theirs unchanged.
  flags: async () => {
    for (const [input, output] of [
      [0, 1],
      [process.stdin, process.stdout],
    ]) {
      const [reading, writing] = [new Recorder(), new Recorder()];
      await loop.connectReadPipe(() => reading, input);
      await loop.connectWritePipe(() => writing, output);
      const before = [0, 1].map((fd) => isBlocking('self', fd));
      const child = await start({ stdin: 'inherit', stdout: 'inherit' });
      const theirs = [0, 1].map((fd) => isBlocking(child.getPid(), fd));
      const after = [0, 1].map((fd) => isBlocking('self', fd));
      report(`${theirs} ${before.join() === after.join() ? 'unchanged' : `${before} ${after}`}`);
      endChildren();
      for (const one of [reading, writing]) one.transport.abort();
      await Promise.all([reading.untilLost(), writing.untilLost()]);
    }
  },
};

function startWith(...all: SubprocessOptions[]): () => Promise<void> {
  return async () => {
    for (const options of all) await start(options);
  };
}

function startByNodeWith(stdio: StdioOptions): () => Promise<void> {
  return async () => startByNode(stdio);
}

function isBlocking(pid: number | string, fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1];
  return (Number.parseInt(String(flags), 8) & constants.O_NONBLOCK) === 0;
}

/** The ends of another child's pipe that a child can get. */
function descriptorOf(transport: Transport | ReadTransport): number | Socket {
  const pipe = transport.getExtraInfo('pipe') as Socket & { fileno?(): number };
  return pipe.fileno?.() ?? pipe;
}

async function listen(server: NodeServer): Promise<{ port: number; fd: number }> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { port: (server.address() as AddressInfo).port, fd };
}

async function nodeSockets(): Promise<[Socket, Socket]> {
  const server = createServer();
  const { port } = await listen(server);
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  const near = connect(port, '127.0.0.1');
  await new Promise<void>((resolve) => {
    near.once('connect', resolve);
  });
  const far = (await accepted).pause();
  server.close();
  return [near, far];
}

await loop.runUntilComplete(async () => {
  for (const name of process.argv.slice(2)) await (scenarios[name] as () => Promise<void>)();
});
process.exit();
