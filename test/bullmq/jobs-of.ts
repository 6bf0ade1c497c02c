/** Executors and workers on a queue of their own, which end with the test. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BullMQExecutorOptions, BullMQWorkerOptions } from '../../src/entry/bullmq.ts';
import { BullMQExecutor, BullMQWorker } from '../../src/entry/bullmq.ts';
import { importFunctions } from '../../src/index.ts';

export const jobsUrl: URL = new URL('./jobs.ts', import.meta.url);
export const jobs = importFunctions<typeof import('./jobs.ts')>(jobsUrl);

let queues = 0;

/** A queue with an executor, and workers that the test adds. */
export class Bench implements AsyncDisposable {
  readonly queue: string = `test-${process.pid}-${++queues}`;
  readonly executor: BullMQExecutor;
  readonly messages: string[] = [];
  readonly folder: string = mkdtempSync(join(tmpdir(), 'gyre-bullmq-'));
  readonly #connection: string;
  readonly #workers: BullMQWorker[] = [];

  constructor(connection: string, options: Partial<BullMQExecutorOptions> = {}) {
    this.#connection = connection;
    this.executor = new BullMQExecutor({ queue: this.queue, connection, ...options });
  }

  async worker(options: Partial<BullMQWorkerOptions> = {}): Promise<BullMQWorker> {
    const worker = new BullMQWorker({
      queue: this.queue,
      connection: this.#connection,
      modules: [jobsUrl],
      maxWorkers: 1,
      kind: 'thread',
      onMessage: (text) => this.messages.push(text),
      ...options,
    });
    this.#workers.push(worker);
    await worker.ready();
    return worker;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.executor.shutdown({ cancelPending: true });
    await Promise.all(this.#workers.map((worker) => worker.close({ wait: false })));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until the file of a job matches, and returns its text. */
export async function untilFile(file: string, pattern: RegExp): Promise<string> {
  for (;;) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (pattern.test(text)) return text;
    await pause(5);
  }
}
