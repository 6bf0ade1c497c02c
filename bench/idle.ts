/**
 * Measures the memory that an idle connection takes in its server. Rates do not matter here, so the clients
 * are Node's and live in this process.
 *
 * Memory that a runtime only keeps for its garbage collector is no cost of a connection: each server collects
 * before its memory is read. (C has no garbage collector, and asyncio and uvloop hardly keep memory for
 * theirs.)
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { Child } from './child.ts';
import type { Figures } from './measure.ts';
import { messageOf } from './message.ts';
import type { IdleWorkload } from './workload.ts';

/** Below any server's backlog. */
const AT_ONCE = 100;
const ACCEPT_SECONDS = 30;
/** A second collection frees the objects that finalizers of the first have released. */
const COLLECTIONS = 2;
const SETTLE_MILLISECONDS = 100;

/** Descriptors that a server or this process has open besides. */
const OTHER_DESCRIPTORS = 100;

/**
 * Returns null if it can be measured here, else the reason. Node has raised the limit of open files to the
 * maximum, for itself and for its children.
 */
export function whyNotIdle({ connections }: IdleWorkload): string | null {
  if (process.platform !== 'linux') return 'memory is read from /proc, which is only on Linux';
  const limit = execFileSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  if (limit === 'unlimited' || Number(limit) >= connections + OTHER_DESCRIPTORS) return null;
  return `at most ${limit} files may be open, and ${connections} connections are asked for (ulimit -Hn)`;
}

export async function measureIdle(workload: IdleWorkload, server: Child, port: number): Promise<Figures> {
  const message = messageOf(workload.messageBytes);
  const sockets: Socket[] = [];
  try {
    const open = workload.tls === true ? openTls : openTcp;
    await prime(await open(port), message);
    const before = await residentKibibytes(server);
    if (workload.connections === 0) return { value: before / 1024, details: {} };
    const descriptors = countDescriptors(server.pid); // without that of the first connection by now

    for (let i = 0; i < workload.connections; i += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, workload.connections - i) }, () => open(port));
      sockets.push(...(await Promise.all(some)));
    }
    await accepted(server.pid, descriptors + workload.connections);
    const afterAccept = await residentKibibytes(server);

    for (let i = 0; i < sockets.length; i += AT_ONCE) {
      await Promise.all(sockets.slice(i, i + AT_ONCE).map((socket) => pingPong(socket, message)));
    }
    const afterEcho = await residentKibibytes(server);
    if (sockets.some((socket) => socket.destroyed)) throw new Error('the server closed a connection');

    const each = (after: number): number => (after - before) / workload.connections;
    return {
      value: each(afterEcho),
      details: {
        'after accept KiB': each(afterAccept),
        'RSS before MiB': before / 1024,
        'RSS after MiB': afterEcho / 1024,
      },
    };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** One whole connection: see load/stream.c. */
async function prime(socket: Socket, message: Buffer): Promise<void> {
  await pingPong(socket, message);
  socket.end();
  await once(socket, 'close');
}

async function openTcp(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return quiet(socket);
}

async function openTls(port: number): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return quiet(socket);
}

/** An error is seen as the close that follows. */
function quiet(socket: Socket): Socket {
  return socket.on('error', () => {});
}

function pingPong(socket: Socket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const settle = (): void => {
      if (answer.length < message.length && !socket.destroyed) return;
      socket.off('data', onData).off('close', settle);
      if (answer.equals(message)) resolve();
      else reject(new Error('something else came back than was sent, or nothing'));
    };
    const onData = (data: Buffer): void => {
      answer = Buffer.concat([answer, data]);
      settle();
    };
    socket.on('data', onData).once('close', settle);
    socket.write(message);
  });
}

/** A client is connected before the server has accepted it. */
async function accepted(pid: number, descriptors: number): Promise<void> {
  for (let waited = 0; countDescriptors(pid) < descriptors; waited += SETTLE_MILLISECONDS) {
    if (waited > ACCEPT_SECONDS * 1000) throw new Error('the server does not accept all connections');
    await sleep(SETTLE_MILLISECONDS);
  }
}

function countDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function residentKibibytes(server: Child): Promise<number> {
  for (let i = 0; i < COLLECTIONS; i++) {
    server.ask('collect');
    await server.nextLine();
    await sleep(SETTLE_MILLISECONDS);
  }
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? [];
  if (kibibytes === undefined) throw new Error('the server is gone');
  return Number(kibibytes);
}
