/** One worker from its start to its end, as the supervisor sees it. */
import { LoopError } from '../base/errors.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import { restoreError } from '../executor/error-copy.ts';
import type { TimerHandle } from '../loop/handle.ts';
import { Future } from '../tasks/future.ts';
import type { FromWorker, StartMessage, WorkerAnswer } from './messages.ts';
import type { Settings, WorkerEvent } from './options.ts';
import type { WorkerLink } from './worker-link.ts';
import { startWorker } from './worker-link.ts';

/** Tells a step of this worker. */
type Tell = (type: WorkerEvent['type'], run: WorkerRun, detail?: string, error?: unknown) => void;

/** The states of a worker. */
export type WorkerState = 'starting' | 'ready' | 'draining' | 'ended';

export class WorkerRun {
  readonly worker: number;
  readonly generation: number;
  readonly startedAt: number;
  /** Done when the worker serves. Fails if it ends before. */
  readonly ready: Future<void>;
  /** Done when the worker has ended: with its error, or null if it ended in order. */
  readonly ended: Future<LoopError | null>;
  readonly link: WorkerLink;
  readonly #loop: BaseEventLoop;
  readonly #settings: Settings;
  readonly #tell: Tell;
  readonly #answers: Map<number, Future<WorkerAnswer | null>> = new Map();
  #state: WorkerState = 'starting';
  #error: unknown;
  #failed: boolean = false;
  #endedInOrder: boolean = false;
  #question: number = 0;
  #timer: TimerHandle | null = null;

  /** Starts the worker. */
  constructor(loop: BaseEventLoop, start: StartMessage, settings: Settings, tell: Tell) {
    this.worker = start.worker;
    this.generation = start.generation;
    this.startedAt = loop.time();
    this.#loop = loop;
    this.#settings = settings;
    this.#tell = tell;
    this.ready = new Future(loop);
    this.ready._ignoreException();
    this.ended = new Future(loop);
    tell('starting', this);
    this.link = startWorker(start, {
      onMessage: (message) => {
        if (message.type === 'loaded') this.link.post(start);
        else this.#soon(() => this.#read(message));
      },
      onFailure: (error) => this.#soon(() => this.#fail(error)),
      onExit: (how) => this.#soon(() => this.#exited(how)),
    });
    const { startTimeout } = settings;
    if (startTimeout === null) return;
    this.#timer = loop.callLater(startTimeout, () => {
      this.#fail(new Error(`it was not ready after ${startTimeout} s; its module may block the thread`));
      this.kill();
    });
  }

  get state(): WorkerState {
    return this.#state;
  }

  /**
   * Asks the worker to end, and waits until it has. Kills it if it has not ended some time after the
   * deadline. Another call may bring the deadline forward.
   */
  async drain(deadline: number | null): Promise<void> {
    if (this.#state === 'ended') return;
    if (this.#state !== 'draining') this.#tell('draining', this);
    this.#state = 'draining';
    this.link.post({ type: 'drain', deadline });
    this.#timer?.cancel();
    if (deadline !== null) {
      this.#timer = this.#loop.callLater(deadline + this.#settings.grace, () => {
        this.#tell('killing', this);
        this.kill();
      });
    }
    await this.ended;
  }

  kill(): void {
    this.link.kill();
  }

  /** Returns the worker's facts; null if it ends before it answers. */
  ask(): Future<WorkerAnswer | null> {
    const answer = new Future<WorkerAnswer | null>(this.#loop);
    if (this.#state === 'ended') {
      answer.setResult(null);
      return answer;
    }
    const id = ++this.#question;
    this.#answers.set(id, answer);
    answer._onSettled = () => this.#answers.delete(id);
    this.link.post({ type: 'ask', id });
    return answer;
  }

  /** Runs a function as code of the loop. */
  #soon(fn: () => void): void {
    if (!this.#loop.isClosed()) this.#loop.callSoonThreadsafe(fn);
  }

  #read(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        this.#isReady();
        return;
      case 'cancelling':
        this.#tell('cancelling', this, `${message.connections} connections are open`);
        return;
      case 'failed':
        this.#fail(restoreError(message.error));
        return;
      case 'ended':
        this.#endedInOrder = true;
        return;
      case 'answer':
        this.#answers.get(message.id)?.setResult(message.answer);
    }
  }

  #isReady(): void {
    if (this.#state !== 'starting') return;
    this.#state = 'ready';
    this.#timer?.cancel();
    this.#tell('ready', this);
    this.ready.setResult();
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
  }

  #exited(how: string): void {
    if (this.#state === 'ended') return;
    const asked = this.#state === 'draining';
    this.#state = 'ended';
    this.#timer?.cancel();
    for (const answer of [...this.#answers.values()]) answer.setResult(null);
    const inOrder = asked && !this.#failed;
    const error = inOrder ? null : this.#errorOf(how);
    if (inOrder) this.#tell('ended', this);
    if (!this.ready.done()) this.ready.setException(error ?? this.#errorOf(how));
    this.ended.setResult(error);
  }

  #errorOf(how: string): LoopError {
    const name = `worker ${this.worker}`;
    if (this.#failed) {
      const message = this.#error instanceof Error ? this.#error.message : String(this.#error);
      return new LoopError('ERR_WORKER_FAILED', `${name} failed: ${message}`, { cause: this.#error });
    }
    const reason = this.#endedInOrder ? 'ended, because its main() returned without an open server' : how;
    return new LoopError('ERR_WORKER_FAILED', `${name} ${reason}`);
  }
}
