import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { WebSocket } from 'ws';
import { withProgram } from './program.ts';

for (const name of ['express', 'fastify', 'hono']) {
  test(`examples/frameworks/${name}.ts answers, and SIGINT answers the request in flight before the end`, () =>
    withProgram([`frameworks/${name}.ts`], async (program) => {
      const [, url] = await program.untilSaid(/on (http:\S+)\/0.1/);
      const [first, inFlight] = [fetch(`${url}/0.01`), fetch(`${url}/0.5`)];
      assert.deepEqual(await (await first).json(), { slept: '0.01' });
      program.interrupt();
      const response = await inFlight;
      assert.deepEqual(await response.json(), { slept: '0.5' });
      assert.equal(await program.ended(), 0, program.output);
      const hooks = name === 'fastify' ? 'requests in flight end\nthe database closes\n' : '';
      assert.ok(program.output.endsWith(`${hooks}closed\n`), program.output);
    }));
}

test('examples/frameworks/ws.ts echoes, and SIGINT closes the WebSockets with code 1001', () =>
  withProgram(['frameworks/ws.ts'], async (program) => {
    const [, url = ''] = await program.untilSaid(/on (ws:\S+)/);
    const socket = new WebSocket(url);
    await once(socket, 'open');
    const answered = once(socket, 'message');
    socket.send('hello');
    assert.equal(String((await answered)[0]), 'echo hello');
    const closed = once(socket, 'close');
    program.interrupt();
    assert.equal((await closed)[0], 1001);
    assert.equal(await program.ended(), 0, program.output);
  }));

const bytes = (text: string): Buffer => Buffer.from(text);
const method = {
  path: '/echo.Echo/say',
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: String,
  responseSerialize: bytes,
  responseDeserialize: String,
};

test('examples/frameworks/grpc.ts answers a call, and SIGINT answers the one in flight before the end', () =>
  withProgram(['frameworks/grpc.ts'], async (program) => {
    const [, address = ''] = await program.untilSaid(/on ([\d.]+:\d+)/);
    const Client = makeGenericClientConstructor({ say: method }, 'Echo');
    const client = new Client(address, credentials.createInsecure());
    const say = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        (client.say as (...args: unknown[]) => void).call(client, text, (error: unknown, answer: string) =>
          error === null ? resolve(answer) : reject(error),
        );
      });
    assert.equal(await say('one'), 'echo one');
    const inFlight = say('two');
    await program.untilSaid(/say two/);
    program.interrupt();
    assert.equal(await inFlight, 'echo two');
    assert.equal(await program.ended(), 0, program.output);
    client.close();
  }));

for (const [name, output] of [
  ['undici', "[ 'slept 0.01 s', 'slept 0.02 s', 'slept 0.03 s' ]\ntoo late\n"],
  ['axios', "[ '0.01', '0.02', '0.03' ]\n"],
  ['got', "[ 'slept 0.01 s', 'slept 0.02 s', 'slept 0.03 s' ]\ntoo late\n"],
  ['node-fetch', "[ 'slept 0.01 s', 'slept 0.02 s', 'slept 0.03 s' ]\ntoo late\n"],
  ['mqtt', 'rooms/kitchen/temperature: 21.5\n'],
] as const) {
  test(`examples/frameworks/${name}.ts asks over connections of the loop, and leaves nothing behind`, () =>
    withProgram([`frameworks/${name}.ts`], async (program) => {
      assert.equal(await program.ended(), 0, program.output);
      assert.equal(program.output, output);
    }));
}
