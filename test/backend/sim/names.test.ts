import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fabric } from '../../../src/backend/sim/fabric/fabric.ts';
import { SimHost } from '../../../src/backend/sim/host.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import type { Kernel } from '../../../src/backend/sim/kernel.ts';
import { loneKernel, Kernel as SimKernel } from '../../../src/backend/sim/kernel.ts';
import type { NameAnswer } from '../../../src/backend/sim/machine/names.ts';
import { Random } from '../../../src/backend/sim/random.ts';
import { Timeline } from '../../../src/backend/sim/timeline.ts';
import {
  AF_INET,
  AF_INET6,
  AI_ADDRCONFIG,
  AI_ALL,
  AI_CANONNAME,
  AI_V4MAPPED,
  BaseEventLoop,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';

class TestLoop extends BaseEventLoop {
  constructor(kernel: Kernel) {
    super(new SimBackend(kernel));
  }
}

const ANSWERS: Readonly<Record<string, NameAnswer>> = {
  'db.test': { addresses: ['192.0.2.7', '2001:db8::7'], canonname: 'primary.db.test' },
  'slow.test': { addresses: ['192.0.2.8'], delay: 5 },
  'silent.test': { addresses: [], delay: 10, error: 'EAI_AGAIN' },
  'local.test': { addresses: ['fd00::9', '192.0.2.9'] },
};

/** Runs `body` on a host with two addresses, in a world with another host and some names. */
function onHost(addresses: readonly string[], body: (loop: TestLoop) => Promise<void>): Promise<void> {
  const timeline = new Timeline(0);
  const kernel = new SimKernel(new SimHost('web', addresses, timeline, new Random(1)), new Fabric(timeline));
  kernel.machine.names.world = {
    addressesOf: (name) => (name === 'cache' ? ['10.0.0.2', 'fd00::2'] : null),
    nameOf: (address) => (address === '10.0.0.2' ? 'cache' : null),
    ask: (name) => ANSWERS[name] ?? null,
  };
  return withLoop(
    () => new TestLoop(kernel),
    (loop) => loop.runUntilComplete(() => body(loop)),
  );
}

const BOTH = ['10.0.0.1', 'fd00::1'];
const hostsOf = async (loop: TestLoop, name: string, options: object = {}): Promise<unknown[]> => {
  const found = await loop.getaddrinfo(name, 80, { type: SOCK_STREAM, ...options });
  return found.map(({ sockaddr }) => sockaddr[0]);
};

test('a simulated host knows itself, localhost and the other hosts by name', () =>
  onHost(BOTH, async (loop) => {
    assert.deepEqual(await hostsOf(loop, 'localhost'), ['::1', '127.0.0.1']);
    assert.deepEqual(await hostsOf(loop, 'WEB'), ['10.0.0.1', 'fd00::1']);
    assert.deepEqual(await hostsOf(loop, 'cache', { family: AF_INET6 }), ['fd00::2']);
    assert.ok(loop.time() < 0.001, 'the hosts table needs no name server');
  }));

test('a name server answers after a while, with a canonical name', () =>
  onHost(BOTH, async (loop) => {
    const found = await loop.getaddrinfo('db.test', 'postgresql', { type: SOCK_STREAM, flags: AI_CANONNAME });
    assert.deepEqual(
      found.map(({ family, canonname, sockaddr }) => [family, canonname, sockaddr]),
      [
        [AF_INET6, 'primary.db.test', ['2001:db8::7', 5432, 0, 0]],
        [AF_INET, '', ['192.0.2.7', 5432]],
      ],
    );
    const before = loop.time();
    await hostsOf(loop, 'slow.test');
    assert.ok(loop.time() - before >= 5);
  }));

test('a failed look-up has the error of the name server', () =>
  onHost(BOTH, async (loop) => {
    await assert.rejects(hostsOf(loop, 'silent.test'), {
      code: 'EAI_AGAIN',
      syscall: 'getaddrinfo',
      hostname: 'silent.test',
    });
    assert.ok(loop.time() >= 10);
    await assert.rejects(hostsOf(loop, 'nowhere.test'), { code: 'ENOTFOUND', hostname: 'nowhere.test' });
    await assert.rejects(hostsOf(loop, 'slow.test', { family: AF_INET6 }), { code: 'ENOTFOUND' });
  }));

test('a local IPv6 address comes behind IPv4, and an address of a missing family last', () =>
  onHost(BOTH, async (loop) => {
    assert.deepEqual(await hostsOf(loop, 'local.test'), ['192.0.2.9', 'fd00::9']);
    await onHost(['10.0.0.1'], async (other) => {
      assert.deepEqual(await hostsOf(other, 'db.test'), ['192.0.2.7', '2001:db8::7']);
      assert.deepEqual(await hostsOf(other, 'db.test', { flags: AI_ADDRCONFIG }), ['192.0.2.7']);
    });
  }));

test('AI_V4MAPPED gives IPv6 forms of IPv4 addresses, and AI_ALL both', () =>
  onHost(BOTH, async (loop) => {
    const family = AF_INET6;
    assert.deepEqual(await hostsOf(loop, 'slow.test', { family, flags: AI_V4MAPPED }), ['::ffff:192.0.2.8']);
    assert.deepEqual(await hostsOf(loop, 'db.test', { family, flags: AI_V4MAPPED }), ['2001:db8::7']);
    assert.deepEqual(await hostsOf(loop, 'db.test', { family, flags: AI_V4MAPPED | AI_ALL }), [
      '2001:db8::7',
      '::ffff:192.0.2.7',
    ]);
  }));

test('getnameinfo() on a simulated host returns names of hosts and services', () =>
  onHost(BOTH, async (loop) => {
    assert.deepEqual(await loop.getnameinfo(['127.0.0.1', 443]), ['localhost', 'https']);
    assert.deepEqual(await loop.getnameinfo(['10.0.0.1', 22]), ['web', 'ssh']);
    assert.deepEqual(await loop.getnameinfo(['10.0.0.2', 1]), ['cache', '1']);
    assert.deepEqual(await loop.getnameinfo(['192.0.2.1', 80]), ['192.0.2.1', 'http']);
  }));

test('a service has the port of its protocol only', () =>
  onHost(BOTH, async (loop) => {
    const [found] = await loop.getaddrinfo('127.0.0.1', 'ntp', { type: SOCK_DGRAM });
    assert.deepEqual(found?.sockaddr, ['127.0.0.1', 123]);
    await assert.rejects(loop.getaddrinfo('127.0.0.1', 'ntp', { type: SOCK_STREAM }), {
      code: 'EAI_SERVICE',
    });
  }));

test('a host without a world knows localhost, and no other name', () =>
  withLoop(
    () => new TestLoop(loneKernel(0)),
    (loop) =>
      loop.runUntilComplete(async () => {
        assert.deepEqual(await hostsOf(loop, 'localhost'), ['::1', '127.0.0.1']);
        await assert.rejects(hostsOf(loop, 'example.test'), { code: 'ENOTFOUND' });
      }),
  ));
