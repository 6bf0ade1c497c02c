/**
 * axios over connections of the loop.
 *
 *   $ node --import tsx examples/frameworks/axios.ts
 */
import axios from 'axios';
import { gather, run, sleep } from 'gyre';
import { Agent, serve } from 'gyre/node';

await run(async () => {
  await using server = await serve(
    async ({ url = '' }, response) => {
      await sleep(Number(url.slice(1)));
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ slept: url.slice(1) }));
    },
    { host: '127.0.0.1', port: 0 },
  );
  await using http = new Agent({ keepAlive: true, maxSockets: 2 });
  await using https = new Agent({ keepAlive: true, ssl: true });
  const client = axios.create({ baseURL: server.url, httpAgent: http, httpsAgent: https });
  const answers = await gather(...[0.01, 0.02, 0.03].map((seconds) => client.get(`/${seconds}`)));
  console.log(answers.map(({ data }) => data.slept));
});
