/**
 * Express over connections of the loop. Ctrl-C and SIGTERM answer the requests in flight, for up to five
 * seconds.
 *
 *   $ node --import tsx examples/frameworks/express.ts
 */
import express from 'express';
import { CancelledError, run, sleep } from 'gyre';
import { serve } from 'gyre/node';

const app = express();
app.get('/sleep/:seconds', async ({ params }, response) => {
  await sleep(Number(params.seconds));
  response.json({ slept: params.seconds });
});

await run(async () => {
  const port = process.env.PORT ?? 8080;
  const server = await serve(app, { host: '127.0.0.1', port, deadline: 5 });
  console.log(`Express on ${server.url}/sleep/0.1`);
  await server.serveForever();
}).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
});
console.log('closed');
