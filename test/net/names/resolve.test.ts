import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  AI_ADDRCONFIG,
  AI_CANONNAME,
  AI_NUMERICHOST,
  AI_PASSIVE,
  IPPROTO_TCP,
  SOCK_STREAM,
} from '../../../src/base/constants.ts';
import { resolve, withoutAsking } from '../../../src/net/names/resolve.ts';
import { fakeNet } from '../fake-net.ts';

const any = { family: AF_UNSPEC, flags: 0 };

test('withoutAsking() returns a literal as itself', () => {
  assert.deepEqual(withoutAsking('127.0.0.1', 80, any), [['127.0.0.1', 80]]);
  assert.deepEqual(withoutAsking('::1', 80, any), [['::1', 80, 0, 0]]);
  assert.deepEqual(withoutAsking('fe80::1%eth0', 80, any), [['fe80::1%eth0', 80, 0, 0]]);
});

test('withoutAsking() returns this machine for no host, and every interface for a server', () => {
  for (const host of [null, '']) {
    assert.deepEqual(withoutAsking(host, 80, any), [
      ['::1', 80, 0, 0],
      ['127.0.0.1', 80],
    ]);
    assert.deepEqual(withoutAsking(host, 80, { family: AF_UNSPEC, flags: AI_PASSIVE }), [
      ['0.0.0.0', 80],
      ['::', 80, 0, 0],
    ]);
  }
});

test('withoutAsking() returns addresses of the given family only', () => {
  assert.deepEqual(withoutAsking(null, 80, { family: AF_INET, flags: 0 }), [['127.0.0.1', 80]]);
  assert.deepEqual(withoutAsking(null, 80, { family: AF_INET6, flags: 0 }), [['::1', 80, 0, 0]]);
  assert.deepEqual(withoutAsking(null, 80, { family: AF_INET, flags: AI_PASSIVE }), [['0.0.0.0', 80]]);
  assert.deepEqual(withoutAsking(null, 80, { family: AF_INET6, flags: AI_PASSIVE }), [['::', 80, 0, 0]]);
  assert.throws(() => withoutAsking('::1', 80, { family: AF_INET, flags: 0 }), {
    code: 'ERR_OUT_OF_RANGE',
    message: /"host".*an IPv4 address or a name, not an IPv6 address; got "::1"/,
  });
  assert.throws(() => withoutAsking('127.0.0.1', 80, { family: AF_INET6, flags: 0 }), {
    code: 'ERR_OUT_OF_RANGE',
  });
});

test('withoutAsking() returns null for names', () => {
  for (const host of ['localhost', 'example.org', '127.1', '[::1]', '256.1.1.1']) {
    assert.equal(withoutAsking(host, 80, any), null);
  }
});

test('resolve() asks for names only, and adds the port to each answer in the order of the resolver', async () => {
  const { loop, net, close } = fakeNet();
  const found = loop.runUntilComplete(async () => [
    await resolve(loop, '127.0.0.1', 1, any),
    await resolve(loop, 'two.example', 2, any),
  ]);
  await net.asked(1);
  net.answer(0, ['::2', '192.0.2.2']);
  assert.deepEqual(await found, [
    [['127.0.0.1', 1]],
    [
      ['::2', 2, 0, 0],
      ['192.0.2.2', 2],
    ],
  ]);
  assert.deepEqual(net.queries, [
    { host: 'two.example', port: 0, family: AF_UNSPEC, type: SOCK_STREAM, proto: IPPROTO_TCP, flags: 0 },
  ]);
  close();
});

test('resolve() passes the flags on, but never asks for a canonical name', async () => {
  const { loop, net, close } = fakeNet();
  net.names = { 'two.example': ['192.0.2.2'] };
  const flags = AI_ADDRCONFIG | AI_CANONNAME;
  await loop.runUntilComplete(() => resolve(loop, 'two.example', 2, { family: AF_INET, flags }));
  assert.deepEqual(net.queries, [
    {
      host: 'two.example',
      port: 0,
      family: AF_INET,
      type: SOCK_STREAM,
      proto: IPPROTO_TCP,
      flags: AI_ADDRCONFIG,
    },
  ]);
  close();
});

test('resolve() fails like the resolver, also for an empty answer and without permission', async () => {
  const { loop, net, close } = fakeNet();
  const failing = assert.rejects(
    loop.runUntilComplete(() => resolve(loop, 'none.example', 1, any)),
    { code: 'EAI_AGAIN' },
  );
  await net.asked(1);
  net.answer(0, Object.assign(new Error('try again'), { code: 'EAI_AGAIN' }));
  await failing;

  const empty = assert.rejects(
    loop.runUntilComplete(() => resolve(loop, 'empty.example', 1, any)),
    { code: 'ENOTFOUND', syscall: 'getaddrinfo', message: /empty\.example/ },
  );
  await net.asked(2);
  net.answer(1, []);
  await empty;

  await assert.rejects(
    loop.runUntilComplete(() => resolve(loop, 'localhost', 1, { family: AF_UNSPEC, flags: AI_NUMERICHOST })),
    { code: 'ENOTFOUND' },
  );
  assert.equal(net.queries.length, 2);
  close();
});

test('resolve() that is cancelled ignores the answer', async () => {
  const { loop, net, close } = fakeNet();
  const task = loop.createTask(() => resolve(loop, 'slow.example', 1, any));
  const done = assert.rejects(loop.runUntilComplete(task), { code: 'ERR_CANCELLED' });
  await net.asked(1);
  task.cancel();
  await done;
  assert.deepEqual(net.log, ['resolve slow.example', 'forget slow.example']);
  net.answer(0, ['192.0.2.2']);
  close();
});
