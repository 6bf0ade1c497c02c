/**
 * Hono over connections of the loop. `getRequestListener()` of Hono's own Node adapter makes a listener for
 * requests from its `fetch()`; every other framework with a `fetch()` works in the same way.
 *
 *   $ node --import tsx examples/frameworks/hono.ts
 */
import { getRequestListener } from '@hono/node-server';
import { CancelledError, run, sleep } from 'gyre';
import { serve } from 'gyre/node';
import { Hono } from 'hono';

const app = new Hono();
app.get('/sleep/:seconds', async (context) => {
  const seconds = context.req.param('seconds');
  await sleep(Number(seconds));
  return context.json({ slept: seconds });
});

await run(async () => {
  const port = process.env.PORT ?? 8080;
  const server = await serve(getRequestListener(app.fetch), { host: '127.0.0.1', port, deadline: 5 });
  console.log(`Hono on ${server.url}/sleep/0.1`);
  await server.serveForever();
}).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
});
console.log('closed');
