/** Workers for tests, and clients that count what happens to their connections. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { ServeWorkersOptions, WorkerSupervisor } from '../../src/entry/workers.ts';
import { serveWorkers } from '../../src/entry/workers.ts';
import type { BaseEventLoop } from '../../src/index.ts';

/** The program of the tests: a protocol server that answers each line. */
export const lines: URL = new URL('./lines.child.ts', import.meta.url);

/** Threads of the portable backend need Node 22.12 for a common port, so its workers are processes. */
export function kindOf(loop: BaseEventLoop): 'thread' | 'process' {
  return loop._backend.name === 'uv' ? 'thread' : 'process';
}

/** Serves a module on 127.0.0.1 by two workers, with limits that are short enough for a test. */
export function serve(
  loop: BaseEventLoop,
  module: URL,
  options: ServeWorkersOptions = {},
): PromiseLike<WorkerSupervisor> {
  return serveWorkers(module, {
    workers: 2,
    host: '127.0.0.1',
    kind: kindOf(loop),
    backoff: 0.001,
    ...options,
  });
}

/** A client of the line server. */
export class Client {
  readonly socket: Socket;
  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => {});
  }

  /** Sends a line, and returns the answer; `''`: the connection has ended. */
  async ask(line: string): Promise<string> {
    this.socket.write(`${line}\n`);
    return await new Promise((resolve) => {
      const answer = (data: Buffer | boolean): void => {
        this.socket.off('data', answer).off('close', answer);
        resolve(typeof data === 'boolean' ? '' : String(data).trim());
      };
      this.socket.once('data', answer).once('close', answer);
      if (this.socket.destroyed) answer(true);
    });
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return;
    this.socket.end();
    await once(this.socket, 'close');
  }
}

/** Asks one line on a connection of its own. */
export async function askOnce(port: number, line: string): Promise<string> {
  const client = new Client(port);
  const answer = await client.ask(line);
  await client.close();
  return answer;
}
