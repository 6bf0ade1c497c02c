import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SocketAddress } from '../../../src/index.ts';
import { NI_DGRAM, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV, NodeEventLoop } from '../../../src/index.ts';
import { onNode } from '../../helpers/pairs.ts';
import { fakeNet } from '../fake-net.ts';

const NUMBERS = NI_NUMERICHOST | NI_NUMERICSERV;

test(
  'getnameinfo() with numeric flags writes the address and the port as the system does',
  onNode(async (loop) => {
    const cases: [SocketAddress, string, string][] = [
      [['127.0.0.1', 80], '127.0.0.1', '80'],
      [['::1', 0], '::1', '0'],
      [['0:0::1', 443, 0, 0], '::1', '443'],
      [['FE80::ABCD%7', 1, 0, 0], 'fe80::abcd%7', '1'],
      [['2001:db8::1', 1, 0, 9], '2001:db8::1%9', '1'],
      // The scope by number wins over a zone in the host.
      [['2001:db8::1%8', 1, 0, 9], '2001:db8::1%9', '1'],
      [['fe80::1', 1, 0, 4294967295], 'fe80::1%4294967295', '1'],
    ];
    for (const [sockaddr, host, service] of cases) {
      assert.deepEqual(await loop.getnameinfo(sockaddr, NUMBERS), [host, service]);
      assert.deepEqual(await loop.getnameinfo(sockaddr, NUMBERS | NI_DGRAM), [host, service]);
    }
  }),
);

test(
  'getnameinfo() returns a number if there is no name, or fails with NI_NAMEREQD',
  onNode(async (loop) => {
    // No service has this port.
    const [, service] = await loop.getnameinfo(['127.0.0.1', 49_150], NI_NUMERICHOST);
    assert.equal(service, '49150');
    await assert.rejects(loop.getnameinfo(['127.0.0.1', 80], NI_NUMERICHOST | NI_NAMEREQD), {
      code: 'ENOTFOUND',
      errno: -3008,
      syscall: 'getnameinfo',
      hostname: '127.0.0.1',
      message: 'getnameinfo ENOTFOUND 127.0.0.1',
    });
  }),
);

test('getnameinfo() answers numeric requests without the system', async () => {
  const { loop, net, close } = fakeNet();
  await loop.runUntilComplete(async () => {
    assert.deepEqual(await loop.getnameinfo(['::1', 80], NUMBERS), ['::1', '80']);
    // An address with a scope may have the name of an interface.
    for (const [sockaddr, flags] of [
      [['fe80::1', 80, 0, 1], NUMBERS],
      [['127.0.0.1', 80], NI_NUMERICHOST],
      [['127.0.0.1', 81], NI_NUMERICSERV],
    ] as [SocketAddress, number][]) {
      const future = loop.getnameinfo(sockaddr, flags);
      assert.equal(net.log.at(-1), `name ${sockaddr[0]}`);
      future.cancel();
      await assert.rejects(future, { code: 'ERR_CANCELLED' });
    }
  });
  close();
});

test('getnameinfo() rejects wrong arguments at the call', () => {
  const loop = new NodeEventLoop();
  // biome-ignore lint/suspicious/noExplicitAny: arguments that TypeScript would refuse.
  const call = loop.getnameinfo.bind(loop) as (...args: any[]) => unknown;
  const wrong: [unknown[], string, string][] = [
    [['/run/socket'], 'ERR_INVALID_ARG_TYPE', 'sockaddr'],
    [[null], 'ERR_INVALID_ARG_TYPE', 'sockaddr'],
    [[['127.0.0.1']], 'ERR_INVALID_ARG_TYPE', 'sockaddr'],
    [[['::1', 1, 2]], 'ERR_INVALID_ARG_TYPE', 'sockaddr'],
    [[['localhost', 80]], 'ERR_OUT_OF_RANGE', 'sockaddr'],
    [[['127.0.0.1', 80, 0, 0]], 'ERR_OUT_OF_RANGE', 'sockaddr'],
    [[[1, 80]], 'ERR_INVALID_ARG_TYPE', 'sockaddr[0]'],
    [[['127.0.0.1', 'http']], 'ERR_INVALID_ARG_TYPE', 'sockaddr[1]'],
    [[['127.0.0.1', 65536]], 'ERR_OUT_OF_RANGE', 'sockaddr[1]'],
    [[['::1', 1, 0x100000, 0]], 'ERR_OUT_OF_RANGE', 'sockaddr[2]'],
    [[['::1', 1, 0, -1]], 'ERR_OUT_OF_RANGE', 'sockaddr[3]'],
    [[['127.0.0.1', 1], 0x100], 'ERR_OUT_OF_RANGE', 'flags'],
    [[['127.0.0.1', 1], null], 'ERR_INVALID_ARG_TYPE', 'flags'],
    [[['127.0.0.1', 1], 0, { timeout: 1 }], 'ERR_INVALID_ARG_TYPE', 'options.timeout'],
    [[['127.0.0.1', 1], 0, { signal: 1 }], 'ERR_INVALID_ARG_TYPE', 'options.signal'],
  ];
  for (const [args, code, name] of wrong) {
    assert.throws(
      () => call(...args),
      (error: Error & { code: string }) => {
        assert.ok(error.message.includes(`"${name}"`), error.message);
        assert.equal(error.code, code, error.message);
        return true;
      },
    );
  }
  assert.equal(loop._owned.resources.size, 0);
  loop.close();
});
