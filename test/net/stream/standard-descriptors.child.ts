/**
 * A program that has closed its standard input: the next descriptor gets the number 0, and is closed like any
 * other. Or a program that got a socket as its standard input. `node standard-descriptors.child.ts kind`
 */
import assert from 'node:assert/strict';
import { closeSync, constants, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import type { BaseEventLoop, Transport, TransportSocket } from '../../../src/index.ts';
import { Socket } from '../../../src/index.ts';
import { addressOf, endpoint } from '../../helpers/datagrams.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import { closed, listeningNodeServer, makeLoop, portOf, Recorder } from '../../helpers/pairs.ts';
import { isOpen, pipeEnds } from '../../helpers/unix-pairs.ts';

const HOST = '127.0.0.1';
const PASSES = 100;

/** The host may close the descriptor a few passes later. */
async function assertClosed(fd: number): Promise<void> {
  for (let passes = 0; passes < PASSES && isOpen(fd); passes++) await hostPass();
  assert.ok(!isOpen(fd), `descriptor ${fd} is still open`);
}

function filenoOf(transport: Transport): number {
  return (transport.getExtraInfo('socket') as TransportSocket).fileno();
}

const kinds: Record<string, (loop: BaseEventLoop) => Promise<void>> = {
  async listener(loop) {
    closeSync(0);
    const server = await loop.createServer(() => new Recorder(), HOST, 0);
    assert.equal(server.sockets[0]?.fileno(), 0);
    server.close();
  },

  async accepted(loop) {
    const accepted = new Recorder();
    const server = await loop.createServer(() => accepted, HOST, 0);
    const client = new Socket();
    // Opens the loop's epoll set first, which would get the number otherwise.
    loop.addWriter(client, () => {});
    loop.removeWriter(client);
    closeSync(0);
    await loop.sockConnect(client, [HOST, portOf(server)]);
    await accepted.untilTold('made');
    assert.equal(filenoOf(accepted.transport), 0);
    await assert.rejects(async () => await loop.connectReadPipe(() => new Recorder(), 0), {
      name: 'InvalidStateError',
    });
    accepted.transport.close();
    assert.equal((await loop.sockRecv(client, 1)).length, 0);
    server.close();
    client.close();
  },

  async connected(loop) {
    const { server, port } = await listeningNodeServer();
    const end = new Promise((resolve) =>
      server.once('connection', (socket) => socket.once('end', resolve).resume()),
    );
    closeSync(0);
    const [transport] = await loop.createConnection(() => new Recorder(), HOST, port);
    assert.equal(filenoOf(transport), 0);
    transport.close();
    await end;
    await closed(server);
  },

  async datagrams(loop) {
    closeSync(0);
    const one = await endpoint(loop, { localAddr: [HOST, 0] });
    assert.ok(addressOf(one)[1] > 0 && isOpen(0));
    one.transport.close();
    await one.untilLost();
  },

  async socket(loop) {
    closeSync(0);
    const [ours, theirs] = addon().socketPair() as [number, number];
    assert.equal(ours, 0);
    const socket = new Socket(undefined, undefined, undefined, { fileno: ours });
    const [transport, reader] = await loop.connectReadPipe(() => new Recorder(), socket);
    writeSync(theirs, 'hello');
    assert.equal(String(await reader.untilReceived(5)), 'hello');
    transport.close();
    await reader.untilLost();
    assert.equal(addon().socketRecv(theirs, Buffer.alloc(1), 1), 0);
    closeSync(theirs);
  },

  async file(loop) {
    const { read, write } = pipeEnds();
    const handle = await open(`/dev/fd/${read}`, constants.O_RDONLY | constants.O_NONBLOCK);
    closeSync(0);
    const [transport, reader] = await loop.connectReadPipe(() => new Recorder(), handle);
    writeSync(write, 'hello');
    assert.equal(String(await reader.untilReceived(5)), 'hello');
    transport.close();
    await reader.untilLost();
    closeSync(write);
    closeSync(read);
  },

  async givenConnection(loop) {
    const [transport, far] = await loop.connectAcceptedSocket(() => new Recorder(), 0);
    transport.write('bye');
    transport.close();
    await far.untilLost();
  },

  async givenListener(loop) {
    const server = await loop.createServer(() => new Recorder(), null, null, { sock: 0 });
    server.close();
    await server.waitClosed();
  },
};

const [, , kind = ''] = process.argv;
const loop = makeLoop();
await loop.runUntilComplete(async () => {
  await kinds[kind]?.(loop);
  await assertClosed(0);
});
loop.close();
