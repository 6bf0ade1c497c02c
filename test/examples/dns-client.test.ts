import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { Message } from '../../examples/dns-client.ts';
import { DnsClient, decode, encodeName, encodeQuery } from '../../examples/dns-client.ts';
import type { BaseEventLoop, DatagramTransport, SocketAddress } from '../../src/index.ts';
import { DatagramProtocol, gather, sleep } from '../../src/index.ts';
import { freeUdpPort } from '../helpers/datagrams.ts';
import { onNode } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';

const IS_RESPONSE = 0x8180;

/** A name server on gyre: `answer` returns the datagrams for a query. */
class NameServer extends DatagramProtocol {
  readonly queries: Message[] = [];
  readonly #answer: (query: Message, data: Buffer) => Buffer[];
  #transport: DatagramTransport | null = null;

  constructor(answer: (query: Message, data: Buffer) => Buffer[]) {
    super();
    this.#answer = answer;
  }

  get port(): number {
    return this.#transport?.getExtraInfo('sockname')?.[1] as number;
  }

  override connectionMade(transport: DatagramTransport): void {
    this.#transport = transport;
  }

  override datagramReceived(data: Buffer, address: SocketAddress): void {
    const query = decode(data);
    this.queries.push(query);
    for (const datagram of this.#answer(query, data)) this.#transport?.sendto(datagram, address);
  }

  async close(): Promise<void> {
    await this.#transport?.[Symbol.asyncDispose]();
  }
}

/** Returns an answer whose records point to the name in the question. */
function response(
  data: Buffer,
  records: [type: number, bytes: Buffer][],
  flags: number = IS_RESPONSE,
): Buffer {
  const header = Buffer.from(data);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(records.length, 6);
  const parts = records.map(([type, bytes]) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(60, 6);
    record.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([header, ...parts]);
}

const address = (last: number): [number, Buffer] => [1, Buffer.from([192, 0, 2, last])];

async function withServer(
  loop: BaseEventLoop,
  answer: (query: Message, data: Buffer) => Buffer[],
  body: (client: DnsClient, server: NameServer) => Promise<void>,
): Promise<void> {
  const localAddr = ['127.0.0.1', 0] as const;
  const [, server] = await loop.createDatagramEndpoint(() => new NameServer(answer), { localAddr });
  {
    await using client = await DnsClient.open('127.0.0.1', server.port);
    await body(client, server);
  }
  await server.close();
}

test(
  'examples/dns-client.ts decodes records of all kinds',
  onNode(async (loop) => {
    const cname = Buffer.concat([Buffer.from([3]), Buffer.from('www'), Buffer.from([0xc0, 12])]);
    const records: [number, Buffer][] = [
      address(1),
      [5, cname],
      [16, Buffer.from('\x05gyre \x08is fast!')],
      [28, Buffer.from('20010db8000000000000000000000001', 'hex')],
      [99, Buffer.from('what nobody knows')],
    ];
    await withServer(
      loop,
      (_query, data) => [response(data, records)],
      async (client, server) => {
        const answer = await client.resolve('Example.org.');
        assert.deepEqual(answer, {
          records: [
            { name: 'Example.org', ttl: 60, type: 'A', data: '192.0.2.1' },
            { name: 'Example.org', ttl: 60, type: 'CNAME', data: 'www.Example.org' },
            { name: 'Example.org', ttl: 60, type: 'TXT', data: 'gyre is fast!' },
            { name: 'Example.org', ttl: 60, type: 'AAAA', data: '2001:db8:0:0:0:0:0:1' },
          ],
          truncated: false,
        });
        await client.resolve('example.org', 'AAAA');
        assert.deepEqual(
          server.queries.map(({ host, type }) => [host, type]),
          [
            ['Example.org', 1],
            ['example.org', 28],
          ],
        );
      },
    );
  }),
);

test(
  'examples/dns-client.ts matches concurrent questions with answers in another order',
  onNode(async (loop) => {
    const held: Buffer[] = [];
    const answer = ({ host }: Message, data: Buffer): Buffer[] => {
      held.unshift(response(data, [address(Number(host.split('.')[0]))]));
      return held.length === 5 ? held : [];
    };
    await withServer(loop, answer, async (client) => {
      const answers = await gather(...[1, 2, 3, 4, 5].map((i) => client.resolve(`${i}.example.org`)));
      assert.deepEqual(
        answers.map(({ records }) => records[0]?.data),
        ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5'],
      );
    });
  }),
);

test(
  'examples/dns-client.ts ignores forged and malformed answers',
  onNode(async (loop) => {
    const wrong = (data: Buffer): Buffer[] => {
      const otherId = Buffer.from(data);
      otherId.writeUInt16BE((data.readUInt16BE(0) + 1) & 0xffff, 0);
      const otherType = Buffer.from(data);
      otherType.writeUInt16BE(28, data.length - 4);
      return [
        response(otherId, [address(66)]),
        response(otherType, [address(66)]),
        response(encodeQuery(data.readUInt16BE(0), 'evil.org', 'A'), [address(66)]),
        response(data, [address(66)], 0),
        response(data, [[1, Buffer.alloc(3)]]),
        response(data, [[5, Buffer.from([0xc0, 40])]]),
        Buffer.from([0, 0, 0x81, 0x80, 0, 1]),
        Buffer.alloc(0),
        data.subarray(0, 5),
      ];
    };
    await withServer(
      loop,
      (_query, data) => [...wrong(data), response(data, [address(1)]), response(data, [address(66)])],
      async (client, server) => {
        const { records } = await client.resolve('example.org');
        assert.deepEqual(
          records.map(({ data }) => data),
          ['192.0.2.1'],
        );
        assert.equal(server.queries.length, 1);
      },
    );
  }),
);

test(
  'examples/dns-client.ts asks again with another id when a question is lost, and ignores the late answer',
  onNode(async (loop) => {
    let first: Buffer | null = null;
    const answer = (_query: Message, data: Buffer): Buffer[] => {
      if (first === null) {
        first = response(data, [address(66)]);
        return [];
      }
      return [first, response(data, [address(2)])];
    };
    await withServer(loop, answer, async (client, server) => {
      const { records } = await client.resolve('example.org', 'A', { attempts: 50, seconds: 0.2 });
      assert.equal(records[0]?.data, '192.0.2.2');
      assert.ok(new Set(server.queries.map(({ id }) => id)).size > 1);
    });
  }),
);

test(
  'examples/dns-client.ts asks a silent server three times, and then throws a TimeoutError',
  onNode(async (loop) => {
    await withServer(
      loop,
      () => [],
      async (client, server) => {
        await assert.rejects(client.resolve('example.org', 'A', { seconds: 0.02 }), { code: 'ERR_TIMEOUT' });
        while (server.queries.length < 3) await sleep(0.001);
        assert.equal(server.queries.length, 3);
      },
    );
  }),
);

test(
  'examples/dns-client.ts reports a missing name, a server that fails, and a truncated answer',
  onNode(async (loop) => {
    const answer = ({ host }: Message, data: Buffer): Buffer[] => {
      if (host === 'cut.org') return [response(data, [address(1)], IS_RESPONSE | 0x0200)];
      return [response(data, [], IS_RESPONSE | (host === 'none.org' ? 3 : 2))];
    };
    await withServer(loop, answer, async (client) => {
      await assert.rejects(client.resolve('none.org'), {
        name: 'DnsError',
        rcode: 3,
        message: /no name none.org/,
      });
      await assert.rejects(client.resolve('fails.org'), { name: 'DnsError', rcode: 2 });
      const { records, truncated } = await client.resolve('cut.org');
      assert.deepEqual([records.length, truncated], [1, true]);
    });
  }),
);

test(
  'examples/dns-client.ts reports a refused port, a closed client and a cancelled task',
  onNode(async (loop) => {
    const client = await DnsClient.open('127.0.0.1', await freeUdpPort());
    await assert.rejects(client.resolve('example.org'), { code: 'ECONNREFUSED' });
    await client[Symbol.asyncDispose]();

    await withServer(
      loop,
      () => [],
      async (silent, server) => {
        const task = loop.createTask(() => silent.resolve('example.org'));
        while (server.queries.length === 0) await sleep(0.001);
        task.cancel();
        await assert.rejects(task, { code: 'ERR_CANCELLED' });
        const asking = assert.rejects(silent.resolve('example.org'), /was closed/);
        await silent[Symbol.asyncDispose]();
        await asking;
      },
    );
  }),
);

test('examples/dns-client.ts rejects names that the DNS cannot have', () => {
  for (const host of ['', '.', 'a..b', '.org', 'x'.repeat(64), Array(5).fill('x'.repeat(60)).join('.')]) {
    assert.throws(() => encodeName(host), RangeError, host);
  }
  assert.equal(decode(encodeQuery(7, 'a.b.', 'TXT')).host, 'a.b');
});

test('decode() of examples/dns-client.ts returns a message or throws for any input, and never hangs', () => {
  const header = fc.uint8Array({ minLength: 0, maxLength: 60 }).map((rest) => {
    return Buffer.concat([Buffer.from([0, 1, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0]), rest]);
  });
  const any = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(header, any), (data) => {
      try {
        assert.equal(typeof decode(data).host, 'string');
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test(
  'examples/dns-client.ts prints the records that it found',
  onNode(async (loop) => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const flags = IS_RESPONSE | 0x0200;
    const answer = (_query: Message, data: Buffer): Buffer[] => [
      response(data, [address(1), address(2)], flags),
    ];
    await withServer(loop, answer, async (_client, server) => {
      const args = [
        ...loaderOptions,
        'examples/dns-client.ts',
        'example.org',
        'A',
        '127.0.0.1',
        `${server.port}`,
      ];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 });
      assert.deepEqual(stdout.split('\n'), [
        'example.org 60 A 192.0.2.1',
        'example.org 60 A 192.0.2.2',
        '; the answer was cut: the rest is to be had over TCP',
        '',
      ]);
    });
  }),
);
