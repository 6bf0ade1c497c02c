/** A world with clients and servers of Node. Prints its trace. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import promises from 'node:timers/promises';
import { simulate } from 'gyre/sim';
import { Redis } from 'ioredis';
import { WebSocket, WebSocketServer } from 'ws';
import { startResp } from './resp-server.ts';

async function serve(): Promise<void> {
  await startResp();
  const server = http.createServer((_request, response) => response.end(String(Math.random())));
  await once(server.listen(80), 'listening');
  const sockets = new WebSocketServer({ port: 81 } as never);
  sockets.on('connection', (socket: WebSocket) => socket.on('message', (data: Buffer) => socket.send(data)));
  const udp = dgram.createSocket('udp4', (data, sender) => udp.send(data, sender.port, sender.address));
  udp.bind(53);
}

async function use(): Promise<void> {
  const redis = new Redis({ host: 'server' });
  const socket = new WebSocket('ws://server:81/');
  await once(socket, 'open');
  const udp = dgram.createSocket('udp4');
  for (let round = 0; round < 5; round++) {
    await redis.set(`key ${Math.random()}`, process.pid);
    socket.send(await (await fetch('http://server/')).text());
    await once(socket, 'message');
    udp.send(String(Date.now()), 53, 'server');
    await once(udp, 'message');
    await promises.setTimeout(Math.random() * 1000);
  }
  udp.close();
  socket.close();
  await redis.quit();
}

const { trace } = await simulate({ seed: 11, trace: true }, async (world) => {
  await world.host('server').run(serve);
  world.latency({ min: 0.001, max: 0.05 });
  await Promise.all(Array.from({ length: 3 }, (_, i) => world.host(`client${i}`).run(use)));
});
for (const { time, host, kind, label } of trace) console.log(time, host, kind, label);
