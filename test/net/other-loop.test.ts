/** Objects of one loop in a call of another loop: the call rejects them, and they stay usable. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { toDuplex, toWebStreams } from '../../src/entry/node.ts';
import type { NodeEventLoop } from '../../src/index.ts';
import {
  AF_INET,
  AF_UNIX,
  DatagramProtocol,
  Protocol,
  SOCK_DGRAM,
  Socket,
  UvEventLoop,
} from '../../src/index.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { connectedSockets, listening, noNative, onUv } from '../helpers/descriptors.ts';
import { makeLoop, onNode, recorders } from '../helpers/pairs.ts';
import { inDirectory } from '../helpers/unix-pairs.ts';

const error = (name: string) => ({
  name: 'RangeError',
  code: 'ERR_OUT_OF_RANGE',
  message: new RegExp(`"${name}" argument must be of this loop, not of another one`),
});

test(
  'sendfile(), startTls() and the adapters reject a transport of another loop, which stays usable',
  onNode((loop) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      writeFileSync(path, 'content');
      const { near, far } = await recorders(loop);
      using other: NodeEventLoop = makeLoop();
      const { transport } = near;
      assert.throws(() => other.sendfile(transport, path), error('transport'));
      const client = { serverHostname: 'localhost' };
      assert.throws(() => other.startTls(transport, near, clientTls(), client), error('transport'));
      assert.throws(
        () => other.startTls(transport, near, serverTls(), { serverSide: true }),
        error('transport'),
      );
      assert.throws(() => toDuplex(transport, { loop: other }), error('transport'));
      assert.throws(() => toWebStreams(transport, { loop: other }), error('transport'));
      assert.equal(transport.getProtocol(), near);

      assert.equal(await loop.sendfile(transport, path), 7);
      assert.equal(String(await far.untilReceived(7)), 'content');
      transport.close();
      await Promise.all([near.untilLost(), far.untilLost()]);
      // Another loop does not learn whether the transport is closed or busy.
      assert.throws(() => other.sendfile(transport, path), error('transport'));
    }),
  ),
);

test(
  'every function with a Socket rejects one of another loop, which stays open',
  { skip: noNative },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const [unix, unixFar] = await connectedSockets(loop, AF_UNIX);
    const listener = listening();
    const unixListener = listening(AF_UNIX);
    const datagrams = new Socket(AF_INET, SOCK_DGRAM);
    using other = new UvEventLoop();
    const factory = (): Protocol => new Protocol();
    // A Socket with pending reads has more to lose.
    const receiving = loop.sockRecv(near, 100);

    const calls: Record<string, (() => unknown)[]> = {
      'options.sock': [
        () => other.createConnection(factory, null, null, { sock: near }),
        () => other.createServer(factory, null, null, { sock: listener }),
        () => other.createServer(factory, null, null, { sock: listener, startServing: false }),
        () => other.createUnixConnection(factory, null, { sock: unix }),
        () => other.createUnixServer(factory, null, { sock: unixListener }),
        () => other.createDatagramEndpoint(() => new DatagramProtocol(), { sock: datagrams }),
      ],
      sock: [() => other.connectAcceptedSocket(factory, near)],
      pipe: [() => other.connectReadPipe(factory, near), () => other.connectWritePipe(factory, near)],
      fd: [() => other.addReader(near, () => {}), () => other.addWriter(near, () => {})],
    };
    for (const [name, all] of Object.entries(calls)) {
      for (const call of all) assert.throws(call, error(name.replace('.', '\\.')), String(call));
    }

    await loop.sockSendall(far, 'still here');
    assert.equal(String(await receiving), 'still here');
    for (const socket of [near, far, unix, unixFar, listener, unixListener, datagrams]) {
      assert.ok(socket.fileno() > 2);
      socket.close();
    }
  }),
);
