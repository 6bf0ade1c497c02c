import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { test } from 'node:test';
import type { Inet4Address, Inet6Address, NodeEventLoop } from '../../../src/index.ts';
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
  IPPROTO_TCP,
  IPPROTO_UDP,
  NI_DGRAM,
  NI_NAMEREQD,
  NI_NOFQDN,
  NI_NUMERICHOST,
  NI_NUMERICSERV,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../../src/index.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { onNode } from '../../helpers/pairs.ts';
import type { InfoQuery } from './python-names.ts';
import { noPython, outcomeOf, pythonInfos, pythonNames } from './python-names.ts';

// CPython on this machine is the reference: gyre must give the same answers.

const [first = 'lo'] = (() => {
  try {
    const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
    return lines
      .map((line) => line.split(':')[0]?.trim() ?? '')
      .filter((name) => /^[a-z0-9.-]+$/i.test(name));
  } catch {
    return [];
  }
})();

function* queries(): Generator<InfoQuery> {
  const hosts = [null, 'localhost', '127.0.0.1', '::1', '0:0::1', '::ffff:1.2.3.4', '127.1', hostname()];
  for (const host of hosts) {
    for (const family of [0, AF_INET, AF_INET6]) {
      for (const flags of [0, AI_PASSIVE, AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_ADDRCONFIG]) {
        yield { host, port: 80, family, flags };
      }
    }
  }
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '0:0::1', 'fe80::1%1', hostname()]) {
    yield { host, port: 80, flags: AI_CANONNAME };
    yield { host, port: 80, family: AF_INET, flags: AI_CANONNAME | AI_NUMERICHOST };
    yield { host, port: 80, family: AF_INET6, flags: AI_CANONNAME | AI_V4MAPPED };
  }
  const services = [
    'http',
    'www',
    'HTTP',
    'domain',
    'ssh',
    'tftp',
    'syslog',
    'shell',
    'nosuch',
    '-1',
    '80x',
    '0x50',
  ];
  for (const port of [...services, '80', '0080', 0, 65535, null]) {
    for (const type of [0, SOCK_STREAM, SOCK_DGRAM]) {
      for (const proto of [0, IPPROTO_TCP, IPPROTO_UDP]) yield { host: '127.0.0.1', port, type, proto };
    }
    yield { host: null, port, type: SOCK_STREAM };
    // glibc accepts a number below 0 as a number without a service; gyre rejects it.
    if (port !== '-1') yield { host: 'localhost', port, flags: AI_NUMERICSERV };
    yield { host: '127.0.0.1', port, family: AF_INET6 };
  }
  const scoped = ['fe80::1%1', 'fe80::1%99', `fe80::1%${first}`, `ff02::1%${first}`, `::1%${first}`];
  for (const host of [...scoped, `2001:db8::1%${first}`, '2001:db8::1%1', 'fe80::1%nosuch0', 'ff05::1%1']) {
    for (const flags of [0, AI_NUMERICHOST, AI_CANONNAME]) yield { host, port: 1, type: SOCK_STREAM, flags };
  }
  for (const host of ['256.1.1.1', '1.2.3.4.5', ':::', '12345::', 'a b', '127.0.0.1 ']) {
    yield { host, port: 1, flags: AI_NUMERICHOST };
  }
}

test(
  'getaddrinfo() answers and fails like CPython on this machine',
  // Without IPv6 the C library puts 127.0.0.1 before ::1; gyre has one order for all machines.
  { skip: noPython || noIPv6 },
  onNode(async (loop) => {
    const all = [...queries()];
    const expected = await pythonInfos(all);
    for (const [i, query] of all.entries()) {
      assert.deepEqual(await infos(loop, query), expected[i], JSON.stringify(query));
    }
    assert.ok(expected.filter((outcome) => 'found' in outcome).length > 100, 'most of them have an answer');
  }),
);

test(
  'getaddrinfo() spells IPv6 addresses like CPython',
  { skip: noPython },
  onNode(async (loop) => {
    const all = [...addresses()].map((host): InfoQuery => ({ host, port: 1, type: SOCK_STREAM }));
    const expected = await pythonInfos(all);
    for (const [i, query] of all.entries()) {
      assert.deepEqual(await infos(loop, query), expected[i], JSON.stringify(query));
    }
  }),
);

/** Each place and length of zeros: the spelling depends on nothing else. */
function* addresses(): Generator<string> {
  for (let bits = 0; bits < 256; bits++) {
    for (const group of ['1', 'ffff']) {
      yield Array.from({ length: 8 }, (_, i) => ((bits >> i) & 1 ? group : '0')).join(':');
    }
  }
}

test(
  'getnameinfo() answers and fails like CPython on this machine',
  { skip: noPython },
  onNode(async (loop) => {
    const all = [...named()];
    const expected = await pythonNames(all);
    for (const [i, [sockaddr, flags]] of all.entries()) {
      const outcome = await outcomeOf(() => loop.getnameinfo(sockaddr, flags));
      assert.deepEqual(outcome, expected[i], JSON.stringify([sockaddr, flags]));
    }
    assert.ok(expected.filter((outcome) => 'found' in outcome).length > 100, 'most of them have an answer');
  }),
);

function* named(): Generator<[Inet4Address | Inet6Address, number]> {
  const hosts: (Inet4Address | Inet6Address)[] = [
    ['127.0.0.1', 80],
    ['::1', 80, 0, 0],
    ['0:0::1', 80, 0, 0],
    ['0.0.0.0', 80],
    ['fe80::1', 80, 0, 1],
    ['fe80::1', 80, 0, 99],
    ['ff02::1', 80, 0, 1],
    ['ff05::1', 80, 0, 1],
    ['2001:db8::1', 80, 7, 1],
  ];
  for (const sockaddr of hosts) {
    // A name server, which this machine may lack, knows the names of other addresses, so the test uses this
    // machine's own only.
    const mayAsk = sockaddr[0] === '127.0.0.1' ? [0, NI_NUMERICHOST] : [NI_NUMERICHOST];
    for (const host of mayAsk) {
      for (const serv of [0, NI_NUMERICSERV]) {
        for (const more of [0, NI_NAMEREQD, NI_DGRAM, NI_NOFQDN]) yield [sockaddr, host | serv | more];
      }
    }
  }
  for (const port of [0, 22, 53, 69, 80, 443, 512, 514, 12345, 65535]) {
    for (const flags of [0, NI_DGRAM, NI_NUMERICHOST, NI_NUMERICHOST | NI_DGRAM])
      yield [['127.0.0.1', port], flags];
  }
}

function infos(loop: NodeEventLoop, { host, port, ...options }: InfoQuery): ReturnType<typeof outcomeOf> {
  return outcomeOf(() => loop.getaddrinfo(host, port, options));
}
