/**
 * Fastify over connections of the loop. Its hooks run as if it listened by itself: `preClose` before the
 * requests in flight end, `onClose` after them.
 *
 *   $ node --import tsx examples/frameworks/fastify.ts
 */
import { fastify } from 'fastify';
import { CancelledError, run, sleep } from 'gyre';
import { serve } from 'gyre/node';

const app = fastify();
app.get<{ Params: { seconds: string } }>('/sleep/:seconds', async ({ params }) => {
  await sleep(Number(params.seconds));
  return { slept: params.seconds };
});
app.addHook('preClose', async () => console.log('requests in flight end'));
app.addHook('onClose', async () => console.log('the database closes'));

await run(async () => {
  const port = process.env.PORT ?? 8080;
  const server = await serve(app, { host: '127.0.0.1', port, deadline: 5 });
  console.log(`Fastify on ${server.url}/sleep/0.1`);
  await server.serveForever();
}).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
});
console.log('closed');
