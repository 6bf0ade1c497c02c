/** A server that speaks as much of the protocol of Redis as its clients need. */
import { once } from 'node:events';
import net from 'node:net';

type Reply = string | number | null | Error | Reply[] | { simple: string };

/** Keys and values, and the channels of subscribers. */
class Store {
  readonly values: Map<string, string> = new Map();
  readonly subscribers: Map<string, Set<net.Socket>> = new Map();

  reply([name = '', ...args]: string[], socket: net.Socket): Reply {
    const [first = '', second = ''] = args;
    switch (name.toUpperCase()) {
      case 'PING':
        return { simple: 'PONG' };
      case 'SET':
        this.values.set(first, second);
        return { simple: 'OK' };
      case 'GET':
        return this.values.get(first) ?? null;
      case 'INCR': {
        const next = Number(this.values.get(first) ?? 0) + 1;
        this.values.set(first, String(next));
        return next;
      }
      case 'INFO':
        return 'redis_version:7.0.0\r\nloading:0\r\n';
      case 'CLIENT':
      case 'SELECT':
        return { simple: 'OK' };
      case 'SUBSCRIBE': {
        const channel = this.subscribers.get(first) ?? new Set();
        this.subscribers.set(first, channel.add(socket));
        return ['subscribe', first, 1];
      }
      case 'PUBLISH': {
        const channel = this.subscribers.get(first) ?? new Set();
        for (const subscriber of channel) subscriber.write(encode(['message', first, second]));
        return channel.size;
      }
      case 'QUIT':
        return { simple: 'OK' };
      default:
        return new Error(`ERR unknown command '${name}'`);
    }
  }
}

function encode(reply: Reply): string {
  if (reply === null) return '$-1\r\n';
  if (typeof reply === 'number') return `:${reply}\r\n`;
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  if (reply instanceof Error) return `-${reply.message}\r\n`;
  if (Array.isArray(reply)) return `*${reply.length}\r\n${reply.map(encode).join('')}`;
  return `+${reply.simple}\r\n`;
}

/** Takes a whole command from the beginning of `text`. Returns it with what is behind it, or null. */
function takeCommand(text: string): { command: string[]; rest: string } | null {
  const lines = text.split('\r\n');
  const count = Number(lines[0]?.slice(1));
  // Each argument has two lines, and a line that is not complete has no end.
  if (text === '' || lines.length <= 1 + 2 * count) return null;
  const command = Array.from({ length: count }, (_, i) => lines[2 + 2 * i] as string);
  return { command, rest: lines.slice(1 + 2 * count).join('\r\n') };
}

/** Starts the server on port 6379. Its values survive a loss of connections. */
export async function startResp(): Promise<net.Server> {
  const store = new Store();
  const server = net.createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (data) => {
      text += data;
      for (let taken = takeCommand(text); taken !== null; taken = takeCommand(text)) {
        text = taken.rest;
        socket.write(encode(store.reply(taken.command, socket)));
        if (taken.command[0]?.toUpperCase() === 'QUIT') socket.end();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const channel of store.subscribers.values()) channel.delete(socket);
    });
  });
  await once(server.listen(6379), 'listening');
  return server;
}
