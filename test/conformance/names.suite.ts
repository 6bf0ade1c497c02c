import assert from 'node:assert/strict';
import {
  AF_INET,
  AF_INET6,
  AI_CANONNAME,
  AI_NUMERICHOST,
  AI_NUMERICSERV,
  AI_PASSIVE,
  AI_V4MAPPED,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NI_NAMEREQD,
  NI_NUMERICHOST,
  NI_NUMERICSERV,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function namesSuite(target: Target): void {
  section(
    'Resolve name',
    target,
    (test) => {
      test('getaddrinfo() returns family, type, protocol, canonical name and address, for streams and datagrams', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const common = { family: AF_INET, canonname: '', sockaddr: ['127.0.0.1', 80] };
          assert.deepEqual(await loop.getaddrinfo('127.0.0.1', 80), [
            { ...common, type: SOCK_STREAM, proto: IPPROTO_TCP },
            { ...common, type: SOCK_DGRAM, proto: IPPROTO_UDP },
          ]);
          assert.deepEqual(await loop.getaddrinfo('::1', 80, { type: SOCK_DGRAM }), [
            {
              family: AF_INET6,
              type: SOCK_DGRAM,
              proto: IPPROTO_UDP,
              canonname: '',
              sockaddr: ['::1', 80, 0, 0],
            },
          ]);
        }));

      test('getaddrinfo() resolves names', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const found = await loop.getaddrinfo('localhost', 80, { type: SOCK_STREAM });
          const hosts = found.map(({ sockaddr }) => sockaddr[0]);
          assert.notEqual(hosts.length, 0);
          for (const host of hosts) assert.match(String(host), /^(127\.|::1$)/);
          const mapped = await loop.getaddrinfo('127.0.0.1', 80, { family: AF_INET6, flags: AI_V4MAPPED });
          assert.deepEqual(mapped[0]?.sockaddr, ['::ffff:127.0.0.1', 80, 0, 0]);
        }));

      test('getaddrinfo() without a host returns the addresses of this machine, or of every interface with AI_PASSIVE', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const hosts = async (flags: number): Promise<unknown[]> =>
            (await loop.getaddrinfo(null, 80, { type: SOCK_STREAM, flags })).map(
              ({ sockaddr }) => sockaddr[0],
            );
          assert.deepEqual(await hosts(0), ['::1', '127.0.0.1']);
          assert.deepEqual(await hosts(AI_PASSIVE), ['0.0.0.0', '::']);
        }));

      test('getaddrinfo() with AI_CANONNAME returns an address literal as its own name', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const found = await loop.getaddrinfo('127.0.0.1', 80, { flags: AI_CANONNAME });
          assert.deepEqual(
            found.map(({ canonname }) => canonname),
            ['127.0.0.1', ''],
          );
        }));

      test('getaddrinfo() fails with ENOTFOUND or the code of the system', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const numbers = AI_NUMERICHOST | AI_NUMERICSERV;
          await assert.rejects(loop.getaddrinfo(null, null), { code: 'ENOTFOUND' });
          await assert.rejects(loop.getaddrinfo('localhost', 80, { flags: numbers }), { code: 'ENOTFOUND' });
          await assert.rejects(loop.getaddrinfo('127.0.0.1', 'http', { flags: numbers }), {
            code: 'ENOTFOUND',
          });
          await assert.rejects(loop.getaddrinfo('127.0.0.1', 'no-such-service'), { code: 'EAI_SERVICE' });
          await assert.rejects(loop.getaddrinfo('127.0.0.1', 80, { family: AF_INET6 }), {
            code: 'EAI_ADDRFAMILY',
          });
          const options = { type: SOCK_STREAM, proto: IPPROTO_UDP };
          await assert.rejects(loop.getaddrinfo('127.0.0.1', 80, options), { code: 'EAI_SOCKTYPE' });
        }));

      test('getaddrinfo() and getnameinfo() can be cancelled, also by an aborted signal before they begin', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const signal = AbortSignal.abort();
          for (const wait of [loop.getaddrinfo('localhost', 80), loop.getnameinfo(['127.0.0.1', 80])]) {
            assert.equal(wait.cancel(), true);
            await assert.rejects(wait, { code: 'ERR_CANCELLED' });
          }
          await assert.rejects(loop.getaddrinfo('localhost', 80, { signal }), { code: 'ERR_CANCELLED' });
          await assert.rejects(loop.getnameinfo(['127.0.0.1', 80], 0, { signal }), { code: 'ERR_CANCELLED' });
        }));

      test('getnameinfo() returns host and service, as numbers on request', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const numbers = NI_NUMERICHOST | NI_NUMERICSERV;
          assert.deepEqual(await loop.getnameinfo(['127.0.0.1', 80], numbers), ['127.0.0.1', '80']);
          assert.deepEqual(await loop.getnameinfo(['::1', 80, 0, 0], numbers), ['::1', '80']);
          const [host, service] = await loop.getnameinfo(['127.0.0.1', 80], NI_NUMERICSERV);
          assert.deepEqual([typeof host, service], ['string', '80']);
          await assert.rejects(loop.getnameinfo(['127.0.0.1', 80], NI_NUMERICHOST | NI_NAMEREQD), {
            code: 'ENOTFOUND',
          });
        }));
    },
    'names',
  );
}
