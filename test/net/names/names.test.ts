import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Names } from '../../../src/backend/backend.ts';
import { NodeBackend } from '../../../src/backend/node/index.ts';
import { canonicalIPv6, isLinkLocal, literalFamily, mappedIPv4 } from '../../../src/base/address.ts';
import type { AddressInfo, Future, GetaddrinfoOptions } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  AI_ADDRCONFIG,
  AI_ALL,
  AI_CANONNAME,
  AI_NUMERICHOST,
  AI_NUMERICSERV,
  AI_PASSIVE,
  AI_V4MAPPED,
  CancelledError,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NodeEventLoop,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { onNode } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { fakeNet } from '../fake-net.ts';

const STREAM = { type: SOCK_STREAM };
const tcp = (host: string, port: number): AddressInfo => ({
  family: AF_INET,
  type: SOCK_STREAM,
  proto: IPPROTO_TCP,
  canonname: '',
  sockaddr: [host, port],
});
const tcp6 = (host: string, port: number, scopeId: number = 0): AddressInfo => ({
  ...tcp(host, port),
  family: AF_INET6,
  sockaddr: [host, port, 0, scopeId],
});
const udp = (info: AddressInfo): AddressInfo => ({ ...info, type: SOCK_DGRAM, proto: IPPROTO_UDP });

test(
  'getaddrinfo() lists TCP and UDP for each address, filtered by type and proto',
  onNode(async (loop) => {
    const all = [tcp('127.0.0.1', 80), udp(tcp('127.0.0.1', 80))];
    const [stream, dgram] = all as [AddressInfo, AddressInfo];
    assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 80), all);
    const kinds: [GetaddrinfoOptions, AddressInfo[]][] = [
      [{ type: SOCK_STREAM }, [stream]],
      [{ type: SOCK_DGRAM }, [dgram]],
      [{ proto: IPPROTO_TCP }, [stream]],
      [{ proto: IPPROTO_UDP }, [dgram]],
      [{ type: SOCK_DGRAM, proto: IPPROTO_UDP }, [dgram]],
    ];
    for (const [options, expected] of kinds) {
      assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 80, options), expected);
    }
    await assert.rejects(loop.getaddrinfo('127.0.0.1', 80, { type: SOCK_STREAM, proto: IPPROTO_UDP }), {
      code: 'EAI_SOCKTYPE',
      errno: -3011,
      syscall: 'getaddrinfo',
      hostname: '127.0.0.1',
    });
  }),
);

test(
  'getaddrinfo() without a host returns this machine, IPv6 first, and with AI_PASSIVE every interface, IPv4 first',
  onNode(async (loop) => {
    for (const host of [null, '']) {
      assert.deepEqual(await loop.getaddrinfo(host, 80), [
        tcp6('::1', 80),
        udp(tcp6('::1', 80)),
        tcp('127.0.0.1', 80),
        udp(tcp('127.0.0.1', 80)),
      ]);
      assert.deepEqual(await loop.getaddrinfo(host, 80, { ...STREAM, flags: AI_PASSIVE }), [
        tcp('0.0.0.0', 80),
        tcp6('::', 80),
      ]);
      assert.deepEqual(await loop.getaddrinfo(host, 80, { ...STREAM, family: AF_INET }), [
        tcp('127.0.0.1', 80),
      ]);
      assert.deepEqual(await loop.getaddrinfo(host, 0, { ...STREAM, family: AF_INET6, flags: AI_PASSIVE }), [
        tcp6('::', 0),
      ]);
      await assert.rejects(loop.getaddrinfo(host, null), { code: 'ENOTFOUND', syscall: 'getaddrinfo' });
    }
    assert.deepEqual(await loop.getaddrinfo('', '', { ...STREAM, family: AF_INET }), [tcp('127.0.0.1', 0)]);
  }),
);

test(
  'getaddrinfo() accepts ports as numbers, digits, nothing, and names of services',
  onNode(async (loop) => {
    const ports: [number | string | null, number][] = [
      [80, 80],
      ['80', 80],
      ['0080', 80],
      ['65535', 65535],
      [null, 0],
      ['', 0],
    ];
    for (const [port, expected] of ports) {
      assert.deepEqual(await loop.getaddrinfo('127.0.0.1', port, STREAM), [tcp('127.0.0.1', expected)]);
    }
    await assert.rejects(loop.getaddrinfo('127.0.0.1', 'no-such-service'), {
      code: 'EAI_SERVICE',
      errno: -3010,
      message: /no such service/,
    });
    await assert.rejects(loop.getaddrinfo('127.0.0.1', 'http', { flags: AI_NUMERICSERV }), {
      code: 'ENOTFOUND',
    });
    assert.deepEqual(await loop.getaddrinfo('127.0.0.1', '80', { ...STREAM, flags: AI_NUMERICSERV }), [
      tcp('127.0.0.1', 80),
    ]);
  }),
);

test(
  'getaddrinfo() spells IPv6 addresses as the system does, and returns numeric zones as scope ids',
  onNode(async (loop) => {
    const cases: [string, string, number][] = [
      ['0:0::1', '::1', 0],
      ['FE80::ABCD%7', 'fe80::abcd', 7],
      ['2001:db8::1%4294967295', '2001:db8::1', 4294967295],
      ['::FFFF:102:304', '::ffff:1.2.3.4', 0],
    ];
    for (const [host, address, scope] of cases) {
      assert.deepEqual(await loop.getaddrinfo(host, 1, STREAM), [tcp6(address, 1, scope)]);
    }
    for (const host of ['fe80::1%nosuch0', '::1%lo', '2001:db8::1%lo', '2001:db8::1%4294967296']) {
      await assert.rejects(loop.getaddrinfo(host, 1), { code: 'ENOTFOUND', hostname: host });
    }
  }),
);

test(
  'getaddrinfo() returns a literal of the other family mapped, or not at all',
  onNode(async (loop) => {
    const v6 = { ...STREAM, family: AF_INET6 };
    await assert.rejects(loop.getaddrinfo('127.0.0.1', 1, v6), {
      code: 'EAI_ADDRFAMILY',
      errno: -3000,
      syscall: 'getaddrinfo',
      hostname: '127.0.0.1',
      message: 'getaddrinfo EAI_ADDRFAMILY 127.0.0.1',
    });
    await assert.rejects(loop.getaddrinfo('::1', 1, { family: AF_INET }), { code: 'EAI_ADDRFAMILY' });
    for (const flags of [AI_V4MAPPED, AI_V4MAPPED | AI_ALL]) {
      assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 1, { ...v6, flags }), [
        tcp6('::ffff:127.0.0.1', 1),
      ]);
      assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 1, { ...STREAM, flags }), [tcp('127.0.0.1', 1)]);
    }
    assert.deepEqual(await loop.getaddrinfo('::ffff:1.2.3.4', 1, { ...STREAM, family: AF_INET }), [
      tcp('1.2.3.4', 1),
    ]);
  }),
);

test(
  'getaddrinfo() with AI_CANONNAME names the host in the first answer only, and a literal as itself',
  onNode(async (loop) => {
    const first = { ...tcp('127.0.0.1', 1), canonname: '127.0.0.1' };
    assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 1, { flags: AI_CANONNAME }), [
      first,
      udp(tcp('127.0.0.1', 1)),
    ]);
    const [info] = await loop.getaddrinfo('0:0::1', 1, { flags: AI_CANONNAME });
    assert.equal(info?.canonname, '0:0::1');
    await assert.rejects(loop.getaddrinfo(null, 1, { flags: AI_CANONNAME }), { code: 'EAI_BADFLAGS' });
  }),
);

test(
  'getaddrinfo() with AI_NUMERICHOST resolves no name',
  onNode(async (loop) => {
    await assert.rejects(loop.getaddrinfo('localhost', 1, { flags: AI_NUMERICHOST }), {
      code: 'ENOTFOUND',
      hostname: 'localhost',
    });
    assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 1, { ...STREAM, flags: AI_NUMERICHOST }), [
      tcp('127.0.0.1', 1),
    ]);
  }),
);

test(
  'getaddrinfo() fails like Node if a name does not exist',
  onNode(async (loop) => {
    // No name of .invalid exists. A machine without a name server cannot say so for sure.
    await assert.rejects(loop.getaddrinfo('no-such-name.invalid', 80), (error: NodeJS.ErrnoException) => {
      assert.match(String(error.code), /^(ENOTFOUND|EAI_AGAIN)$/);
      assert.equal(error.syscall, 'getaddrinfo');
      assert.equal((error as { hostname?: string }).hostname, 'no-such-name.invalid');
      return true;
    });
  }),
);

test('getaddrinfo() rejects wrong arguments at the call', () => {
  const loop = new NodeEventLoop();
  // biome-ignore lint/suspicious/noExplicitAny: arguments that TypeScript would refuse.
  const call = loop.getaddrinfo.bind(loop) as (...args: any[]) => unknown;
  const wrong: [unknown[], string, string][] = [
    [[1, 80], 'ERR_INVALID_ARG_TYPE', 'host'],
    [[undefined, 80], 'ERR_INVALID_ARG_TYPE', 'host'],
    [['a\0b', 80], 'ERR_OUT_OF_RANGE', 'host'],
    [['a', undefined], 'ERR_INVALID_ARG_TYPE', 'port'],
    [['a', {}], 'ERR_INVALID_ARG_TYPE', 'port'],
    [['a', -1], 'ERR_OUT_OF_RANGE', 'port'],
    [['a', 1.5], 'ERR_OUT_OF_RANGE', 'port'],
    [['a', 65536], 'ERR_OUT_OF_RANGE', 'port'],
    [['a', '65536'], 'ERR_OUT_OF_RANGE', 'port'],
    [['a', '9'.repeat(400)], 'ERR_OUT_OF_RANGE', 'port'],
    [['a', 1, null], 'ERR_INVALID_ARG_TYPE', 'options'],
    [['a', 1, { famly: 2 }], 'ERR_INVALID_ARG_TYPE', 'options.famly'],
    [['a', 1, { family: 4 }], 'ERR_OUT_OF_RANGE', 'options.family'],
    [['a', 1, { type: 3 }], 'ERR_OUT_OF_RANGE', 'options.type'],
    [['a', 1, { proto: 132 }], 'ERR_OUT_OF_RANGE', 'options.proto'],
    [['a', 1, { flags: '1' }], 'ERR_INVALID_ARG_TYPE', 'options.flags'],
    [['a', 1, { flags: 0x8000 }], 'ERR_OUT_OF_RANGE', 'options.flags'],
    [['a', 1, { flags: -1 }], 'ERR_OUT_OF_RANGE', 'options.flags'],
    [['a', 1, { signal: {} }], 'ERR_INVALID_ARG_TYPE', 'options.signal'],
  ];
  for (const [args, code, name] of wrong) {
    assert.throws(() => call(...args), { code, message: new RegExp(`"${name.replace('.', '\\.')}"`) });
  }
  assert.equal(loop._owned.resources.size, 0);
  loop.close();
  assert.throws(() => loop.getaddrinfo('127.0.0.1', 1), { code: 'ERR_LOOP_CLOSED' });
});

test('getaddrinfo() and getnameinfo() on a loop without names throw at the call', () => {
  const loop = bareLoop();
  assert.throws(() => loop.getaddrinfo('127.0.0.1', 1), {
    code: 'ERR_UNSUPPORTED',
    message: /NodeEventLoop/,
  });
  assert.throws(() => loop.getnameinfo(['127.0.0.1', 1]), { code: 'ERR_UNSUPPORTED' });
  loop.close();
});

test('getaddrinfo() answers literals without the system, and passes a name on with all arguments', async () => {
  const { loop, net, close } = fakeNet();
  const flags = AI_ADDRCONFIG | AI_V4MAPPED | AI_CANONNAME;
  const asked = loop.runUntilComplete(async () => {
    await loop.getaddrinfo('::1%1', '1');
    await loop.getaddrinfo(null, 1);
    return loop.getaddrinfo('a.example', '25', {
      family: AF_INET6,
      type: SOCK_STREAM,
      proto: IPPROTO_TCP,
      flags,
    });
  });
  await net.asked(1);
  net.answer(0, ['::2']);
  assert.deepEqual(await asked, [tcp6('::2', 0)]);
  assert.deepEqual(net.queries, [
    { host: 'a.example', port: 25, family: AF_INET6, type: SOCK_STREAM, proto: IPPROTO_TCP, flags },
  ]);
  close();
});

test('getaddrinfo() of a literal answers through the ready queue, never within the call', async () => {
  const { loop, close } = fakeNet();
  await loop.runUntilComplete(async () => {
    const order: string[] = [];
    const future = loop.getaddrinfo('127.0.0.1', 1);
    assert.equal(future.done(), false);
    future.addDoneCallback(() => order.push('answered'));
    loop.callSoon(() => order.push('next turn'));
    await future;
    await loop.getaddrinfo('127.0.0.1', 1);
    assert.deepEqual(order, ['next turn', 'answered']);
  });
  close();
});

for (const [name, begin, host] of [
  ['getaddrinfo', 'getaddrinfo', 'slow.example'],
  ['getnameinfo', 'getnameinfo', '192.0.2.9'],
] as const) {
  const ask = (loop: NodeEventLoop, options: { signal?: AbortSignal }): Future<unknown> =>
    begin === 'getaddrinfo' ? loop.getaddrinfo(host, 1, options) : loop.getnameinfo([host, 1], 0, options);
  const words = begin === 'getaddrinfo' ? [`resolve ${host}`] : [`name ${host}`];

  test(`${name}() that is cancelled ends at once, although the resolver never answers`, async () => {
    const { loop, net, close } = fakeNet();
    await loop.runUntilComplete(async () => {
      const task = loop.createTask(async () => ask(loop as NodeEventLoop, {}));
      const cancel = loop.callLater(1, () => task.cancel());
      await assert.rejects(task, CancelledError);
      assert.equal(loop.time(), cancel.when());
      assert.deepEqual(net.log, [...words, `forget ${host}`]);
      assert.equal(loop._owned.resources.size, 0);
    });
    close();
  });

  test(`${name}() is cancelled by its signal, and leaves no listener`, async () => {
    const { loop, net, close } = fakeNet();
    await loop.runUntilComplete(async () => {
      const aborted = AbortSignal.abort(new Error('too late'));
      await assert.rejects(ask(loop as NodeEventLoop, { signal: aborted }), (error: Error) => {
        assert.equal((error.cause as Error).message, 'too late');
        return error instanceof CancelledError;
      });
      assert.deepEqual(net.log, [], 'an aborted signal starts nothing');
      const controller = new AbortController();
      const { signal } = controller;
      const future = ask(loop as NodeEventLoop, { signal });
      assert.equal(getEventListeners(signal, 'abort').length, 1);
      controller.abort('enough');
      await assert.rejects(future, { code: 'ERR_CANCELLED', cause: 'enough' });
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      assert.deepEqual(net.log, [...words, `forget ${host}`]);
    });
    close();
  });

  test(`${name}() that is pending when the loop closes is cancelled and named`, async () => {
    const { loop, net } = fakeNet();
    const messages: string[] = [];
    loop.setExceptionHandler((_loop, { message }) => messages.push(message));
    let future: PromiseLike<unknown> | null = null;
    await loop.runUntilComplete(async () => {
      future = ask(loop as NodeEventLoop, {});
    });
    loop.close();
    assert.deepEqual(net.log, [...words, `forget ${host}`]);
    assert.match(messages.join('\n'), new RegExp(`looking up .*${host}.* was still under way`));
    assert.notEqual(future, null);
  });
}

test('getaddrinfo() of literals and numbers needs no thread while the whole pool is blocked, and a name can be cancelled', {
  skip: process.platform === 'win32' ? 'a FIFO holds the threads' : false,
}, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-names-'));
  try {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...loaderOptions, path.join(import.meta.dirname, 'names-pool.child.ts'), path.join(folder, 'fifo')],
      { encoding: 'utf8', env: { ...process.env, UV_THREADPOOL_SIZE: '1' }, timeout: 60_000 },
    );
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), {
      literal: '127.0.0.1',
      zone: 'fe80::1',
      none: '::1',
      configured: 'string',
      service: 'EAI_SERVICE',
      numeric: ['127.0.0.1', '80'],
      scoped: true,
      info: 'ERR_CANCELLED',
      name: 'ERR_CANCELLED',
      held: true,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a resolve request that was cancelled never reports an answer', async () => {
  const { resolve, nameOf } = new NodeBackend().names as Names;
  const answers: string[] = [];
  const query = { host: 'localhost', port: 0, family: 0, type: 0, proto: 0, flags: 0 };
  const name = { address: ['127.0.0.1', 80], flags: 0 } as const;
  resolve(query, () => answers.push('resolve')).cancel();
  nameOf(name, () => answers.push('nameOf')).cancel();
  // Each waits for a thread behind the one before.
  await new Promise<void>((done) => {
    nameOf(name, () => resolve(query, () => done()));
  });
  assert.deepEqual(answers, []);
});

test('canonicalIPv6() returns the one spelling of an address', () => {
  const group = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const full = groups.map((one) => one.toString(16).padStart(4, '0').toUpperCase()).join(':');
      const canonical = canonicalIPv6(full);
      assert.equal(literalFamily(canonical), 6);
      assert.equal(canonicalIPv6(canonical), canonical);
      // The host's own opinion of the address.
      const hostname = (text: string): string => new URL(`http://[${text}]/`).hostname;
      assert.equal(hostname(canonical), hostname(full));
    }),
    { numRuns: 2000 },
  );
});

test('mappedIPv4() and isLinkLocal() recognize their prefixes', () => {
  assert.equal(mappedIPv4('::ffff:1.2.3.4'), '1.2.3.4');
  assert.equal(mappedIPv4('::ffff:fffe:1'), '255.254.0.1');
  for (const other of ['::1.2.3.4', '1::ffff:1.2.3.4', '::fffe:1.2.3.4', '::ffff:0:1.2.3.4']) {
    assert.equal(mappedIPv4(other), null, other);
  }
  for (const [address, expected] of [
    ['fe80::1', true],
    ['febf::1', true],
    ['fec0::1', false],
    ['fe7f::1', false],
    ['ff02::1', true],
    ['ff12::1', true],
    ['ff05::1', false],
    ['ff01::1', false],
    ['::1', false],
  ] as const) {
    assert.equal(isLinkLocal(address), expected, address);
  }
});
