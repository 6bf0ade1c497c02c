/** A worker that is a thread. It has a port of its own for gyre; other code may use the public channel. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { node } from '../platform/node-modules.ts';
import type { Answer, ThreadGreeting } from './job-messages.ts';
import { SLOTS } from './job-messages.ts';
import { foreignMessageReporter } from './worker-channel.ts';
import { threadEntry } from './worker-entry.ts';
import type { LinkEvents, WorkerLink } from './worker-link.ts';

/** The number of answers that are read in one callback, so that other code has its turn. */
const MOST_ANSWERS = 1000;

export class ThreadLink implements WorkerLink {
  readonly states: Int32Array = new Int32Array(new SharedArrayBuffer(4 * SLOTS));
  readonly #events: LinkEvents;
  readonly #thread: Worker;
  readonly #port: MessagePort;

  constructor(events: LinkEvents) {
    this.#events = events;
    const { script, options } = threadEntry();
    const thread = new node.worker_threads.Worker(script, { stdout: false, stderr: false, ...options });
    const { port1, port2 } = new node.worker_threads.MessageChannel();
    this.#thread = thread;
    this.#port = port1;
    thread.postMessage({ gyrePort: port2, states: this.states } satisfies ThreadGreeting, [port2]);
    port1.on('message', (answer: Answer) => this.#read(answer));
    port1.on('messageerror', (error) => this.#fail(error));
    thread.on('message', foreignMessageReporter('a pool'));
    thread.on('messageerror', (error) => this.#fail(error));
    thread.on('error', (error) => events.onFailure(error));
    thread.on('exit', (code) => this.#exited(code));
    // A listener makes a port keep the process alive.
    this.keepAlive(false);
  }

  post(message: readonly unknown[], ports: readonly MessagePort[]): void {
    this.#port.postMessage(message, ports);
  }

  keepAlive(on: boolean): void {
    for (const handle of [this.#thread, this.#port]) {
      if (on) handle.ref();
      else handle.unref();
    }
  }

  kill(): void {
    void this.#thread.terminate();
  }

  /** Reads all answers that are there. That is twice as fast as an event for each. */
  #read(first: Answer): void {
    let answer: Answer | null = first;
    try {
      for (let i = 1; answer !== null; i++) {
        this.#events.onAnswer(answer);
        answer = i < MOST_ANSWERS ? this.#next() : null;
      }
    } finally {
      this.#events.onRead();
    }
  }

  #next(): Answer | null {
    try {
      return (node.worker_threads.receiveMessageOnPort(this.#port)?.message as Answer | undefined) ?? null;
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  #fail(error: unknown): void {
    this.#events.onFailure(error);
    this.kill();
  }

  #exited(code: number): void {
    for (let last = this.#next(); last !== null; last = this.#next()) this.#events.onAnswer(last);
    this.#port.close();
    this.#events.onExit(`exited with code ${code}`);
  }
}
