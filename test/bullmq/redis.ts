/** A Redis that can be killed and started again with its data. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../helpers/pairs.ts';

export class TestRedis implements AsyncDisposable {
  readonly port: number;
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'gyre-redis-'));
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  readonly #end = (): void => {
    this.#child?.kill('SIGKILL');
  };

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
    process.once('exit', this.#end);
  }

  static async start(...args: string[]): Promise<TestRedis> {
    const redis = new TestRedis(await freePort(), args);
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory, '--save', ''];
    this.#child = spawn('redis-server', [...args, '--maxmemory-policy', 'noeviction', ...this.#args], {
      stdio: 'ignore',
    });
    while (!(await answers(this.port))) await pause(10);
  }

  async kill(): Promise<void> {
    const child = this.#child as ChildProcess;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.removeListener('exit', this.#end);
    if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Redis listens before it has read its data, and answers then that it is loading. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.on('data', (data) => {
      socket.destroy();
      resolve(/PONG|NOAUTH/.test(String(data)));
    });
    socket.on('error', () => resolve(false));
  });
}
