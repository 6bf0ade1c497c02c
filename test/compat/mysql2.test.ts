/** `mysql2`, unmodified, over gyre transports to a real MariaDB, which speaks first. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Connection, ConnectionOptions, RowDataPacket } from 'mysql2/promise';
import { createConnection, createPool } from 'mysql2/promise';
import type { Dialler } from './clients.ts';
import { against, ways } from './clients.ts';
import type { RunningServer } from './servers.ts';
import { noMariaDb, startMariaDb } from './servers.ts';

let server: RunningServer | null = null;

before(async () => {
  if (noMariaDb === false) server = await startMariaDb();
});
after(() => server?.stop());

function config(dialler: Dialler): ConnectionOptions {
  return { user: 'root', database: 'mysql', stream: () => dialler.dial() };
}

async function rowsOf(
  connection: Pick<Connection, 'execute'>,
  sql: string,
  values: unknown[] = [],
): Promise<RowDataPacket[]> {
  const [rows] = await connection.execute<RowDataPacket[]>(sql, values as never);
  return rows;
}

for (const way of ways) {
  const options = { skip: noMariaDb };
  const over = (body: (dialler: Dialler) => Promise<void>): (() => Promise<void>) =>
    against(() => server as RunningServer, way, body);

  test(
    `mysql2 over ${way}: queries with parameters, errors and many rows work`,
    options,
    over(async (dialler) => {
      const connection = await createConnection(config(dialler));
      assert.deepEqual(await rowsOf(connection, 'select ? + ? as sum', [1, 2]), [{ sum: 3 }]);
      await assert.rejects(connection.query('select nonsense'), { code: 'ER_BAD_FIELD_ERROR' });
      const many = await rowsOf(connection, "select seq, repeat('x', 100) as text from seq_1_to_50000");
      assert.equal(many.length, 50_000);
      await connection.end();
    }),
  );

  test(
    `mysql2 over ${way}: 32 MiB go there and back`,
    options,
    over(async (dialler) => {
      const connection = await createConnection(config(dialler));
      const text = 'x'.repeat(8 * 1024 * 1024);
      for (let i = 0; i < 4; i++) {
        const [rows] = await connection.query<RowDataPacket[]>('select ? as text', [text]);
        assert.ok(rows[0]?.text === text);
      }
      await connection.end();
    }),
  );

  test(
    `mysql2 over ${way}: a pool runs its queries concurrently`,
    options,
    over(async (dialler) => {
      const pool = createPool({ ...config(dialler), connectionLimit: 4 });
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, n) => rowsOf(pool, 'select ? as n', [n])),
      );
      assert.deepEqual(
        results.map((rows) => Number(rows[0]?.n)),
        Array.from({ length: 40 }, (_, n) => n),
      );
      assert.equal(dialler.dialled, 4);
      await pool.end();
    }),
  );

  test(
    `mysql2 over ${way}: a pending query fails when the server closes the connection`,
    options,
    over(async (dialler) => {
      const victim = await createConnection(config(dialler));
      const other = await createConnection(config(dialler));
      const waiting = assert.rejects(victim.query('select sleep(60)'));
      await other.query(`kill ${victim.threadId}`);
      await waiting;
      victim.destroy();
      await other.end();
    }),
  );
}
