/**
 * undici over connections of the loop: its `fetch()` and its pool, with a limit and a cancel of gyre.
 *
 *   $ node --import tsx examples/frameworks/undici.ts
 */
import { gather, run, sleep, TimeoutError, timeout } from 'gyre';
import { serve, undiciConnector } from 'gyre/node';
import { Agent, fetch } from 'undici';

await run(async () => {
  await using server = await serve(
    async ({ url = '' }, response) => {
      await sleep(Number(url.slice(1)));
      response.end(`slept ${url.slice(1)} s`);
    },
    { host: '127.0.0.1', port: 0 },
  );
  const dispatcher = new Agent({ connect: undiciConnector(), connections: 2 });
  const ask = async (seconds: number, signal?: AbortSignal): Promise<string> => {
    const response = await fetch(`${server.url}/${seconds}`, { dispatcher, ...(signal ? { signal } : {}) });
    return response.text();
  };
  console.log(await gather(...[0.01, 0.02, 0.03].map((seconds) => ask(seconds))));
  try {
    await timeout(0.1, ({ signal }) => ask(3600, signal));
  } catch (error) {
    console.log(error instanceof TimeoutError ? 'too late' : error);
  }
  await dispatcher.close();
});
