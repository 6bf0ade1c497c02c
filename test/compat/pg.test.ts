/** `pg`, unmodified, over gyre transports to a real PostgreSQL. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import type { Client, ClientConfig } from 'pg';
import pg from 'pg';
import { withProgram } from '../examples/program.ts';
import { ca } from '../helpers/certificates.ts';
import type { Dialler } from './clients.ts';
import { against, ways } from './clients.ts';
import type { RunningServer } from './servers.ts';
import { noPostgres, startPostgres } from './servers.ts';

let server: RunningServer | null = null;

before(async () => {
  if (noPostgres === false) server = await startPostgres();
});
after(() => server?.stop());

function config(dialler: Dialler): ClientConfig {
  return { user: 'gyre', database: 'postgres', host: 'localhost', stream: () => dialler.dial() };
}

async function connected(dialler: Dialler, options: ClientConfig = {}): Promise<Client> {
  const client = new pg.Client({ ...config(dialler), ...options });
  await client.connect();
  return client;
}

for (const way of ways) {
  const options = { skip: noPostgres };
  const over = (body: (dialler: Dialler) => Promise<void>): (() => Promise<void>) =>
    against(() => server as RunningServer, way, body);

  test(
    `pg over ${way}: queries with parameters, errors and a transaction work`,
    options,
    over(async (dialler) => {
      const client = await connected(dialler, { keepAlive: true });
      const { rows } = await client.query('select $1::int + $2::int as sum', [1, 2]);
      assert.deepEqual(rows, [{ sum: 3 }]);
      await assert.rejects(client.query('select nonsense'), { code: '42703' });
      await client.query('begin');
      await client.query('create temporary table t (n int)');
      const inserts = Array.from({ length: 100 }, (_, n) => client.query('insert into t values ($1)', [n]));
      await Promise.all(inserts);
      const total = await client.query('select sum(n)::int as sum from t');
      assert.deepEqual(total.rows, [{ sum: 4950 }]);
      await client.query('rollback');
      await client.end();
    }),
  );

  test(
    `pg over ${way}: 64 MiB go there and back`,
    options,
    over(async (dialler) => {
      const client = await connected(dialler);
      const text = 'x'.repeat(16 * 1024 * 1024);
      for (let i = 0; i < 4; i++) {
        const { rows } = await client.query('select $1::text as text', [text]);
        assert.ok(rows[0]?.text === text);
      }
      const many = await client.query(
        'select n, repeat($1, 100) as text from generate_series(1, 100000) as n',
        ['x'],
      );
      assert.equal(many.rowCount, 100_000);
      await client.end();
    }),
  );

  test(
    `pg over ${way}: a pool runs its queries concurrently`,
    options,
    over(async (dialler) => {
      const pool = new pg.Pool({ ...config(dialler), max: 4 });
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, n) => pool.query('select $1::int as n, pg_backend_pid() as pid', [n])),
      );
      assert.deepEqual(
        results.map(({ rows }) => rows[0]?.n),
        Array.from({ length: 40 }, (_, n) => n),
      );
      assert.equal(dialler.dialled, 4);
      await pool.end();
    }),
  );

  test(
    `pg over ${way}: notifications come without a query`,
    options,
    over(async (dialler) => {
      const listener = await connected(dialler);
      const speaker = await connected(dialler);
      await listener.query('listen news');
      const heard = once(listener, 'notification');
      await speaker.query("notify news, 'hello'");
      const [{ payload }] = (await heard) as [{ payload: string }];
      assert.equal(payload, 'hello');
      await listener.end();
      await speaker.end();
    }),
  );

  test(
    `pg over ${way}: client and pending query report that the server closed the connection`,
    options,
    over(async (dialler) => {
      const victim = await connected(dialler);
      const other = await connected(dialler);
      const { rows } = await victim.query('select pg_backend_pid() as pid');
      victim.on('error', () => {});
      const waiting = assert.rejects(victim.query('select pg_sleep(60)'), /terminat/);
      await other.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      await waiting;
      await other.end();
    }),
  );

  test(
    `pg over ${way}: a missing server is an error`,
    options,
    over(async (dialler) => {
      const client = new pg.Client({
        ...config(dialler),
        stream: () => {
          const duplex = dialler.dial();
          queueMicrotask(() => duplex.destroy(Object.assign(new Error('no way'), { code: 'ENOWAY' })));
          return duplex;
        },
      });
      await assert.rejects(client.connect(), { code: 'ENOWAY' });
    }),
  );
}

test(
  'pg over TCP: the connection is upgraded to TLS',
  { skip: noPostgres },
  against(
    () => server as RunningServer,
    'TCP',
    async (dialler) => {
      const client = await connected(dialler, { ssl: { ca } });
      const { rows } = await client.query(
        'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()',
      );
      assert.deepEqual(rows, [{ ssl: true, version: 'TLSv1.3' }]);
      const text = 'x'.repeat(1024 * 1024);
      const large = await client.query('select $1::text as text', [text]);
      assert.ok(large.rows[0]?.text === text);
      await client.end();
    },
  ),
);

test('examples/frameworks/pg.ts runs its queries over connections of the loop', { skip: noPostgres }, () =>
  withProgram(['frameworks/pg.ts', String(server?.port), 'gyre', 'postgres'], async (program) => {
    assert.equal(await program.ended(), 0, program.output);
    assert.equal(program.output, '[ 2, 4, 6 ]\n');
  }),
);
