import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import promises from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { Aedes } from 'aedes';
import express from 'express';
import mqtt from 'mqtt';
import { WebSocket as UndiciWebSocket, fetch as undiciFetch } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { simulate } from '../../../src/entry/sim.ts';
import { sleep } from '../../../src/index.ts';
import { COMES, eventually, GOES, throughOutage, until } from './outage.ts';

test('ws works, finds by its pings that the network is gone, and goes on', async () => {
  await throughOutage(
    async () => {
      const server = new WebSocketServer({ port: 80 } as never);
      server.on('connection', (socket: WebSocket) => {
        socket.on('message', (data: Buffer) => socket.send(`echo ${data}`));
        socket.on('error', () => {});
      });
      await once(server, 'listening');
    },
    async () => {
      const connect = async (): Promise<WebSocket> => {
        const socket = new WebSocket('ws://server/', { handshakeTimeout: 5000 } as never);
        await once(socket, 'open');
        return socket;
      };
      const echo = async (socket: WebSocket, text: string): Promise<void> => {
        const answer = once(socket, 'message');
        socket.send(text);
        assert.equal(String((await answer)[0]), `echo ${text}`);
      };
      const first = await connect();
      await echo(first, 'hello');
      await echo(first, 'x'.repeat(200_000));
      let alive = true;
      first.on('pong', () => {
        alive = true;
      });
      const pings = setInterval(() => {
        if (!alive) first.terminate();
        alive = false;
        first.ping();
      }, 4000);
      await once(first, 'close');
      clearInterval(pings);
      assert.ok(performance.now() > GOES * 1000 && performance.now() < (GOES + 10) * 1000);
      const second = await eventually(connect);
      assert.ok(performance.now() > COMES * 1000);
      await echo(second, 'again');
      second.close();
      await once(second, 'close');
    },
  );
});

test('the global WebSocket and that of undici work, and learn that their server has crashed', async () => {
  const { WebSocket: GlobalWebSocket } = globalThis as { WebSocket?: typeof UndiciWebSocket };
  for (const Socket of [UndiciWebSocket, GlobalWebSocket ?? UndiciWebSocket]) {
    await simulate({ seed: 1 }, async (world) => {
      const server = world.host('server');
      await server.run(async () => {
        const listening = new WebSocketServer({ port: 80 } as never);
        listening.on('connection', (socket: WebSocket) => {
          socket.on('message', (data: Buffer) => socket.send(`echo ${data}`));
        });
        await once(listening, 'listening');
      });
      const client = world.host('client').run(async () => {
        const socket = new Socket('ws://server/');
        await new Promise((resolve) => socket.addEventListener('open', resolve));
        const answer = new Promise<string>((resolve) => {
          socket.addEventListener('message', ({ data }) => resolve(String(data)));
        });
        socket.send('hello');
        assert.equal(await answer, 'echo hello');
        const closed = new Promise<number>((resolve) => {
          socket.addEventListener('close', ({ code }) => resolve(code));
        });
        // Only what the client sends shows it that its server has no memory of it.
        const sending = setInterval(() => socket.send('more'), 1000);
        assert.equal(await closed, 1006);
        clearInterval(sending);
      });
      await sleep(5);
      await server.crash();
      await sleep(5);
      await server.restart();
      await client;
      assert.ok(world.time() < 60);
    });
  }
});

test('mqtt works with aedes, loses the network for a minute, and goes on', async () => {
  await throughOutage(
    async () => {
      const broker = await Aedes.createBroker();
      await once(net.createServer(broker.handle).listen(1883), 'listening');
    },
    async () => {
      const client = await mqtt.connectAsync('mqtt://server', {
        keepalive: 5,
        connectTimeout: 5000,
        reconnectPeriod: 1000,
      });
      client.on('error', () => {});
      await client.subscribeAsync('topic', { qos: 1 });
      const message = (): Promise<string> =>
        new Promise((resolve) => client.once('message', (_topic, payload) => resolve(String(payload))));
      const first = message();
      await client.publishAsync('topic', 'first', { qos: 1 });
      assert.equal(await first, 'first');
      await new Promise((resolve) => client.once('close', () => resolve(null)));
      assert.ok(performance.now() > GOES * 1000 && performance.now() < (GOES + 15) * 1000);
      await new Promise((resolve) => client.once('connect', resolve));
      assert.ok(performance.now() > COMES * 1000);
      await client.subscribeAsync('topic', { qos: 1 });
      const second = message();
      await client.publishAsync('topic', 'second', { qos: 1 });
      assert.equal(await second, 'second');
      await client.endAsync();
    },
  );
});

const echo: grpc.ServiceDefinition = {
  say: {
    path: '/echo.Echo/say',
    requestStream: false,
    responseStream: false,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes: Buffer) => bytes.toString(),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  },
};

test('grpc works, finds by its pings that the network is gone, and goes on', async () => {
  await throughOutage(
    async () => {
      const server = new grpc.Server();
      server.addService(echo, {
        say: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) =>
          done(null, `echo ${call.request}`),
      });
      await new Promise<void>((resolve, reject) => {
        server.bindAsync('0.0.0.0:50051', grpc.ServerCredentials.createInsecure(), (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      });
    },
    async () => {
      const Client = grpc.makeGenericClientConstructor(echo, 'Echo');
      const client = new Client('server:50051', grpc.credentials.createInsecure(), {
        'grpc.keepalive_time_ms': 5000,
        'grpc.keepalive_timeout_ms': 2000,
        'grpc.initial_reconnect_backoff_ms': 1000,
        'grpc.max_reconnect_backoff_ms': 2000,
      });
      const say = (text: string): Promise<string> =>
        new Promise((resolve, reject) => {
          (client.say as grpc.ClientUnaryCall & ((...args: unknown[]) => void))(
            text,
            { deadline: Date.now() + 5000 },
            (error: Error | null, answer: string) => (error === null ? resolve(answer) : reject(error)),
          );
        });
      assert.equal(await say('hello'), 'echo hello');
      await until(GOES + 1);
      await assert.rejects(say('lost'), { code: grpc.status.UNAVAILABLE });
      assert.ok(performance.now() < (GOES + 7) * 1000);
      assert.equal(await eventually(() => say('again')), 'echo again');
      assert.ok(performance.now() > COMES * 1000);
      client.close();
    },
  );
});

test('fetch and undici work with Express, lose the network for a minute, and go on', async () => {
  await throughOutage(
    async () => {
      const app = express();
      app.get('/items/:id', ({ params }, response) => response.json({ id: params.id }));
      await new Promise<void>((resolve) => {
        app.listen(80, resolve);
      });
    },
    async () => {
      const get = async (fetcher: typeof fetch, id: number): Promise<unknown> => {
        const response = await fetcher(`http://server/items/${id}`, { signal: AbortSignal.timeout(5000) });
        return await response.json();
      };
      for (const fetcher of [fetch, undiciFetch as unknown as typeof fetch]) {
        for (let id = 0; id < 3; id++) assert.deepEqual(await get(fetcher, id), { id: String(id) });
      }
      await until(GOES + 1);
      for (const fetcher of [fetch, undiciFetch as unknown as typeof fetch]) {
        await assert.rejects(get(fetcher, 5), { name: 'TimeoutError' });
      }
      await promises.setTimeout(1000);
      for (const fetcher of [fetch, undiciFetch as unknown as typeof fetch]) {
        assert.deepEqual(await eventually(() => get(fetcher, 6)), { id: '6' });
      }
      assert.ok(performance.now() > COMES * 1000);
    },
  );
});
