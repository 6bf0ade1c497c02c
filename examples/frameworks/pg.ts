/**
 * A pool of `pg` over connections of the loop: the option `stream` makes its sockets. mysql2 takes the same
 * function.
 *
 *   $ node --import tsx examples/frameworks/pg.ts 5432 USER DATABASE
 */
import { gather, getRunningLoop, run } from 'gyre';
import type { TransportDuplex } from 'gyre/node';
import { connectDuplex } from 'gyre/node';
import pg from 'pg';

const [port = '5432', user = 'postgres', database = user] = process.argv.slice(2);

await run(async () => {
  const loop = getRunningLoop();
  const closed: Promise<unknown>[] = [];
  const stream = (): TransportDuplex => {
    const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', port));
    closed.push(new Promise((resolve) => void duplex.once('close', resolve)));
    return duplex;
  };
  const pool = new pg.Pool({ user, database, stream, max: 2 });
  const results = await gather(...[1, 2, 3].map((n) => pool.query('select $1::int * 2 as double', [n])));
  console.log(results.map(({ rows }) => rows[0]?.double));
  await pool.end();
  // The pool does not wait for the end of its connections, and a loop that is closed reports open ones.
  await gather(...closed);
});
