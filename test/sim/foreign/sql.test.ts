import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { before, test } from 'node:test';
import promises from 'node:timers/promises';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import type { Connection } from 'mysql2';
import mysqlServer from 'mysql2';
import mysql from 'mysql2/promise';
import type { ClientConfig } from 'pg';
import pg from 'pg';
import postgres from 'postgres';
import { COMES, eventually, GOES, throughOutage, until } from './outage.ts';

/** A new database takes long to make, and short to copy. */
let template: Awaited<ReturnType<PGlite['dumpDataDir']>>;

before(async () => {
  const db = await PGlite.create();
  await db.exec('create table items (id int primary key, name text)');
  template = await db.dumpDataDir('none');
  await db.close();
});

async function startPostgres(): Promise<void> {
  const db = await PGlite.create({ loadDataDir: template });
  const server = new PGLiteSocketServer({
    db,
    host: '0.0.0.0',
    port: 5432,
    maxConnections: 10,
    idleTimeout: 20_000,
  });
  await server.start();
}

test('pg works with PostgreSQL itself, loses the network for a minute, and goes on', async () => {
  await throughOutage(startPostgres, async () => {
    const pool = new pg.Pool({
      host: 'server',
      user: 'postgres',
      database: 'postgres',
      max: 2,
      connectionTimeoutMillis: 5000,
      query_timeout: 5000,
      idleTimeoutMillis: 3000,
    } as ClientConfig);
    pool.on('error', () => {});
    await pool.query('insert into items values ($1, $2)', [1, 'one']);
    const { rows } = await pool.query('select name, now() as now from items where id = $1', [1]);
    assert.equal(rows[0]?.name, 'one');
    assert.equal(pool.totalCount, 1);
    // The pool closes idle connections in virtual time.
    await promises.setTimeout(4000);
    assert.equal(pool.totalCount, 0);
    await assert.rejects(pool.query('select nonsense'), { code: '42703' });
    await pool.query('select 1');
    await until(GOES + 1);
    await assert.rejects(pool.query('select 1'), /timeout/i);
    const names = await eventually(() => pool.query('select name from items'));
    assert.deepEqual(names.rows, [{ name: 'one' }]);
    assert.ok(performance.now() > COMES * 1000);
    await pool.end();
  });
});

test('postgres works with PostgreSQL itself, loses the network for a minute, and goes on', async () => {
  await throughOutage(startPostgres, async () => {
    const sql = postgres('postgres://postgres@server/postgres', {
      max: 1,
      connect_timeout: 5,
      idle_timeout: 3,
      onnotice: () => {},
    });
    await sql`insert into items values (${1}, ${'one'})`;
    assert.deepEqual([...(await sql`select name from items`)], [{ name: 'one' }]);
    await until(GOES + 1);
    await assert.rejects(sql`select 1`.execute(), { code: 'CONNECT_TIMEOUT' });
    const names = await eventually(async () => await sql`select name from items`);
    assert.deepEqual([...names], [{ name: 'one' }]);
    assert.ok(performance.now() > COMES * 1000);
    await sql.end();
  });
});

interface MySqlServer {
  on(event: 'connection', listener: (connection: Connection & Record<string, never>) => void): void;
  listen(port: number): { _server: net.Server };
}

test('mysql2 works with its own server, loses the network for a minute, and goes on', async () => {
  await throughOutage(
    async () => {
      const server = (mysqlServer as unknown as { createServer(): MySqlServer }).createServer();
      let connections = 0;
      server.on('connection', (connection) => {
        const wire = connection as unknown as {
          serverHandshake(options: object): void;
          writeTextResult(rows: object[], columns: object[]): void;
          _resetSequenceId(): void;
          on(event: string, listener: (text: string) => void): void;
        };
        const nextCommand = (): void => wire._resetSequenceId();
        wire.serverHandshake({
          protocolVersion: 10,
          serverVersion: '8.0.0',
          connectionId: ++connections,
          statusFlags: 2,
          characterSet: 8,
          capabilityFlags: 0xffffff,
          authCallback: (_user: unknown, done: (error: null) => void) => {
            done(null);
            process.nextTick(nextCommand);
          },
        });
        wire.on('query', (text) => {
          wire.writeTextResult(
            [{ text }],
            [
              {
                catalog: 'def',
                schema: '',
                table: '',
                orgTable: '',
                name: 'text',
                orgName: 'text',
                characterSet: 33,
                columnLength: 255,
                columnType: 253,
                flags: 0,
                decimals: 0,
              },
            ],
          );
          process.nextTick(nextCommand);
        });
        wire.on('error', () => {});
      });
      await once(server.listen(3306)._server, 'listening');
    },
    async () => {
      const pool = mysql.createPool({
        host: 'server',
        user: 'user',
        connectionLimit: 2,
        connectTimeout: 5000,
        maxIdle: 0,
        idleTimeout: 3000,
        enableKeepAlive: true,
      });
      const query = async (text: string): Promise<unknown> =>
        (await pool.query({ sql: text, timeout: 5000 }))[0];
      assert.deepEqual(await query('select 1'), [{ text: 'select 1' }]);
      await until(GOES - 1);
      assert.deepEqual(await query('select 2'), [{ text: 'select 2' }]);
      await until(GOES + 1);
      await assert.rejects(query('select 3'), /TIMEDOUT|INACTIVITY|timeout/);
      assert.deepEqual(await eventually(() => query('select 4')), [{ text: 'select 4' }]);
      assert.ok(performance.now() > COMES * 1000);
      await pool.end();
    },
  );
});
