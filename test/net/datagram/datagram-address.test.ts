import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { toHost, toSocketAddress } from '../../../src/backend/node/scope.ts';
import type { SocketAddress } from '../../../src/base/address.ts';
import { AF_INET, AF_INET6 } from '../../../src/base/constants.ts';
import { checkDestination, isSameAddress } from '../../../src/net/datagram/datagram-address.ts';
import { addressOf, closedSocket, endAll, endpoint, nodeSocket } from '../../helpers/datagrams.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { onNode } from '../../helpers/pairs.ts';

// sendto() tests the rejected addresses, in datagram-transport.test.ts.

test('checkDestination() accepts a literal address, with a scope if it has one', () => {
  assert.deepEqual(checkDestination('to', ['127.0.0.1', 1], AF_INET), ['127.0.0.1', 1]);
  assert.deepEqual(checkDestination('to', ['255.255.255.255', 65_535], AF_INET), ['255.255.255.255', 65_535]);
  assert.deepEqual(checkDestination('to', ['::1', 1], AF_INET6), ['::1', 1, 0, 0]);
  assert.deepEqual(checkDestination('to', ['::ffff:1.2.3.4', 1], AF_INET6), ['::ffff:1.2.3.4', 1, 0, 0]);
  assert.deepEqual(checkDestination('to', ['fe80::1', 1, 0, 2], AF_INET6), ['fe80::1', 1, 0, 2]);
  assert.deepEqual(checkDestination('to', ['fe80::1%lo', 1], AF_INET6), ['fe80::1%lo', 1, 0, 0]);
});

test('isSameAddress() compares host, port and scope', () => {
  const same: [SocketAddress, SocketAddress, boolean][] = [
    [['127.0.0.1', 1], ['127.0.0.1', 1], true],
    [['127.0.0.1', 1], ['127.0.0.1', 2], false],
    [['127.0.0.1', 1], ['127.0.0.2', 1], false],
    [['::1', 1, 0, 0], ['::1', 1, 0, 0], true],
    [['fe80::1', 1, 0, 1], ['fe80::1', 1, 0, 2], false],
  ];
  for (const [one, other, expected] of same) assert.equal(isSameAddress(one, other), expected);
});

// --- scopes, in Node's spelling ---

/** Returns an address of a link, with its interface. */
function linkLocal(): { host: string; name: string; scope: number } | null {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { family, address, scopeid } of addresses ?? []) {
      if (family === 'IPv6' && address.startsWith('fe80:'))
        return { host: address, name, scope: scopeid ?? 0 };
    }
  }
  return null;
}

const link = linkLocal();
const skip = link === null ? 'no interface has a link-local IPv6 address' : false;

test('an address without a scope is used as it is', () => {
  assert.deepEqual(toSocketAddress('127.0.0.1', 1), ['127.0.0.1', 1]);
  assert.deepEqual(toSocketAddress('::1', 1), ['::1', 1, 0, 0]);
  assert.equal(toHost(['127.0.0.1', 1]), '127.0.0.1');
  assert.equal(toHost(['::1', 1, 0, 0]), '::1');
  assert.equal(toHost(['fe80::1%somewhere', 1, 0, 0]), 'fe80::1%somewhere');
});

test('an address may have a numeric scope, or one that no interface has', () => {
  assert.deepEqual(toSocketAddress('fe80::1%7', 1), ['fe80::1', 1, 0, 7]);
  assert.deepEqual(toSocketAddress('fe80::1%nowhere', 1), ['fe80::1%nowhere', 1, 0, 0]);
  assert.equal(toHost(['fe80::1', 1, 0, 4_000_000_000]), 'fe80::1%4000000000');
});

test('an interface’s name and number are the same scope', { skip }, () => {
  const { host, name, scope } = link as NonNullable<typeof link>;
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(toSocketAddress(`${host}%${name}`, 1), [host, 1, 0, scope]);
    assert.equal(toHost([host, 1, 0, scope]), `${host}%${name}`);
  }
});

test(
  'link-local addresses have the number of their interface as scope, and can be answered',
  { skip },
  onNode(async (loop) => {
    const { host, name, scope } = link as NonNullable<typeof link>;
    const far = await endpoint(loop, { localAddr: [`${host}%${name}`, 0] });
    const [, port] = addressOf(far);
    const here = [host, port, 0, scope] as const;
    assert.deepEqual(far.transport.getExtraInfo('sockname'), here);

    const remotes = [here, [`${host}%${name}`, port]] as const;
    for (const remoteAddr of remotes) {
      const near = await endpoint(loop, { remoteAddr });
      assert.deepEqual(near.transport.getExtraInfo('peername'), here);
      near.transport.sendto('one');
      near.transport.sendto('two', here);
      await far.untilReceived(2);
      const sender = far.senders[0] as SocketAddress;
      assert.deepEqual(sender, [host, addressOf(near)[1], 0, scope]);
      far.transport.sendto('answer', sender);
      await near.untilReceived(1);
      far.transport.sendto('by name', [`${host}%${name}`, addressOf(near)[1]]);
      await near.untilReceived(2);
      assert.deepEqual(near.senders, [here, here]);
      await endAll(near);
      far.log.length = 0;
      far.senders.length = 0;
    }
    await endAll(far);
  }),
);

test(
  'a socket of Node’s own and an endpoint agree on each other’s addresses',
  { skip: noIPv6 },
  onNode(async (loop) => {
    for (const host of ['127.0.0.1', '::1']) {
      const socket = await nodeSocket(host);
      const near = await endpoint(loop, { remoteAddr: [host, socket.address().port] });
      const seen = new Promise((resolve) => {
        socket.once('message', (_data, { address, port }) => resolve([address, port]));
      });
      near.transport.sendto('x');
      assert.deepEqual(await seen, addressOf(near));
      await endAll(near);
      await closedSocket(socket);
    }
  }),
);
