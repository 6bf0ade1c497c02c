/**
 * node-fetch over connections of the loop. A redirect may change the protocol, so the agent is a function of
 * the URL.
 *
 *   $ node --import tsx examples/frameworks/node-fetch.ts
 */
import { gather, run, sleep, TimeoutError, timeout } from 'gyre';
import { Agent, serve } from 'gyre/node';
import fetch from 'node-fetch';

await run(async () => {
  await using server = await serve(
    async ({ url = '' }, response) => {
      await sleep(Number(url.slice(1)));
      response.end(`slept ${url.slice(1)} s`);
    },
    { host: '127.0.0.1', port: 0, deadline: 0 },
  );
  await using http = new Agent({ keepAlive: true, maxSockets: 2 });
  await using https = new Agent({ keepAlive: true, ssl: true });
  const agent = ({ protocol }: URL): Agent => (protocol === 'https:' ? https : http);
  const get = async (path: string, signal?: AbortSignal): Promise<string> => {
    try {
      const response = await fetch(`${server.url}/${path}`, { agent, signal: signal ?? null });
      return await response.text();
    } catch (error) {
      signal?.throwIfAborted(); // the AbortError of node-fetch does not say why
      throw error;
    }
  };
  console.log(await gather(...['0.01', '0.02', '0.03'].map((path) => get(path))));
  try {
    await timeout(0.2, (scope) => get('3600', scope.signal));
  } catch (error) {
    console.log(error instanceof TimeoutError ? 'too late' : error);
  }
});
