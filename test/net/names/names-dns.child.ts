// Runs in a network of its own, as its only name server. Asks gyre and CPython, and prints both answers.
import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import {
  AF_INET,
  AF_INET6,
  AI_ADDRCONFIG,
  AI_ALL,
  AI_CANONNAME,
  AI_PASSIVE,
  AI_V4MAPPED,
  NI_NAMEREQD,
  NI_NOFQDN,
  NodeEventLoop,
  SOCK_STREAM,
  sleep,
} from '../../../src/index.ts';
import { FakeDns } from './fake-dns.ts';
import type { InfoQuery, Outcome } from './python-names.ts';
import { outcomeOf, pythonInfos, pythonNames } from './python-names.ts';

const dns = new FakeDns({
  'plain.example': { A: '192.0.2.1', AAAA: '2001:db8:0:0:0:0:0:1' },
  'six.example': { AAAA: '2001:db8:0:0:0:0:0:6' },
  'alias.example': { CNAME: 'middle.example' },
  'middle.example': { CNAME: 'end.example' },
  'end.example': { A: '192.0.2.2' },
  'short.search.test': { A: '192.0.2.3' },
  'other.search.test': { CNAME: 'end.example' },
  'void.example': {},
  'dual.search.test': { A: '192.0.2.8' },
  'mute.example': 'mute',
  'half.example': { A: '192.0.2.4', CNAME: 'mute' },
  'broken.example': 'broken',
  '1.2.0.192.in-addr.arpa': { PTR: 'plain.example' },
  '2.2.0.192.in-addr.arpa': { PTR: 'near.own.test' },
  '7.2.0.192.in-addr.arpa': 'broken',
});
await dns.listen(53);

const outcomes: { call: unknown; gyre: Outcome; python: Outcome }[] = [];
const other: Record<string, unknown> = {};
const loop = new NodeEventLoop();

const compareInfos = async (queries: InfoQuery[]): Promise<void> => {
  const python = await pythonInfos(queries);
  for (const [i, query] of queries.entries()) {
    const { host, port, ...options } = query;
    const gyre = await outcomeOf(() => loop.getaddrinfo(host, port, options));
    outcomes.push({ call: query, gyre, python: python[i] as Outcome });
  }
};

const ip = (words: string): void => {
  execFileSync('ip', words.split(' '));
};

const openSockets = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // The descriptor of the listing itself.
      return false;
    }
  }).length;

const codeOf = async (aw: PromiseLike<unknown>): Promise<unknown> => {
  try {
    return await aw;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

await loop.runUntilComplete(async () => {
  const canonname = AI_CANONNAME;
  const stream = { port: 80, type: SOCK_STREAM };
  const names = ['plain', 'six', 'alias', 'middle', 'void', 'broken', 'missing'].map(
    (name) => `${name}.example`,
  );
  const all = [...names, 'short', 'other', 'box', 'box-alias', 'dual', 'PLAIN.example', 'six'];
  await compareInfos(
    all.flatMap((host): InfoQuery[] => [
      { host, port: 80 },
      { ...stream, host, flags: canonname },
      // If a server fails, glibc reports that with this flag only, and Node never passes the flag on.
      ...(host === 'broken.example' ? [] : [{ ...stream, host, family: AF_INET, flags: canonname }]),
      { ...stream, host, family: AF_INET6, flags: AI_V4MAPPED },
      { ...stream, host, family: AF_INET6, flags: AI_V4MAPPED | AI_ALL },
      { ...stream, host, flags: AI_ADDRCONFIG },
      { ...stream, host, family: AF_INET6, flags: AI_ADDRCONFIG },
    ]),
  );
  // First only the loopback has addresses; then this machine has IPv4; then IPv6, too.
  const configured = ['127.0.0.1', '::1', null].flatMap((host) =>
    [0, AF_INET, AF_INET6].flatMap((family) =>
      [0, AI_PASSIVE].map((flags): InfoQuery => ({ ...stream, host, family, flags: flags | AI_ADDRCONFIG })),
    ),
  );
  await compareInfos(configured);
  ip('link add veth-a type veth peer name veth-b');
  for (const end of ['veth-a', 'veth-b']) ip(`link set ${end} addrgenmode none up`);
  ip('addr add 192.0.2.1/24 dev veth-a');
  await compareInfos(configured);
  ip('addr add 2001:db8::1/64 dev veth-a nodad');
  await compareInfos(configured);
  ip('addr add fe80::a/64 dev veth-a nodad');
  await compareInfos(['fe80::1%veth-a', 'fe80::1%veth-b', 'fe80::1%lo'].map((host) => ({ ...stream, host })));

  const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.5', '192.0.2.7', '10.9.8.7', '10.9.8.6'];
  const queries = addresses.flatMap((host) =>
    [0, NI_NAMEREQD, NI_NOFQDN].map((flags): [[string, number], number] => [[host, 80], flags]),
  );
  const python = await pythonNames(queries);
  for (const [i, [sockaddr, flags]] of queries.entries()) {
    const gyre = await outcomeOf(() => loop.getnameinfo(sockaddr, flags));
    outcomes.push({ call: [sockaddr, flags], gyre, python: python[i] as Outcome });
  }

  // A resolver that never answers.
  const before = loop.time();
  const slow = loop.getaddrinfo('mute.example', 80);
  loop.callLater(0.02, () => slow.cancel());
  other.cancelled = await codeOf(slow);
  other.atOnce = loop.time() - before < 0.9;
  other.unanswered = await codeOf(loop.getaddrinfo('mute.example', 80));

  // Its address is known at once, its canonical name never.
  const half = loop.getaddrinfo('half.example', 80, { family: AF_INET, flags: AI_CANONNAME });
  const isAsked = (): boolean => dns.asked.includes('CNAME half.example');
  while (!isAsked()) await sleep(0.005);
  const asking = openSockets();
  const cancelled = loop.time();
  half.cancel();
  other.halfCancelled = await codeOf(half);
  while (openSockets() === asking) await sleep(0.005);
  other.halfAtOnce = loop.time() - cancelled < 0.9;
  other.halfUnanswered = await codeOf(
    loop.getaddrinfo('half.example', 80, { family: AF_INET, flags: AI_CANONNAME }),
  );

  const asked = dns.asked.length;
  await loop.getaddrinfo('alias.example', 80);
  other.aliasesAskedFor = dns.asked.slice(asked).filter((question) => question.startsWith('CNAME')).length;
});
loop.close();
dns.close();
console.log(JSON.stringify({ outcomes, other }));
