/** The host's object for a worker, and its channel. `ThreadLink` and `ProcessLink` implement it. */
import type { MessagePort } from 'node:worker_threads';
import type { Answer } from './job-messages.ts';

export interface WorkerLink {
  /** The states of the worker's jobs in shared memory; null for a process. */
  readonly states: Int32Array | null;
  /** @param ports the ports in the message, which are transferred */
  post(message: readonly unknown[], ports: readonly MessagePort[]): void;
  /** Decides whether this worker keeps the process alive. */
  keepAlive(on: boolean): void;
  /** Terminates the worker at once, whatever it does. */
  kill(): void;
}

export interface LinkEvents {
  onAnswer(answer: Answer): void;
  /** The answers that have arrived were passed on. */
  onRead(): void;
  /** A message could not be sent or read, so the worker is being killed. */
  onFailure(cause: unknown): void;
  /** The worker has exited, and its last answers were passed on. Called exactly once, as the last event. */
  onExit(how: string): void;
}
