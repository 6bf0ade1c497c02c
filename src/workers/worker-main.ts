/** The program of a worker: runs the `main()` of the user's module on a loop of its own. */
import { parentPort } from 'node:worker_threads';
import { CancelledError } from '../base/errors.ts';
import { invalidArgType } from '../base/validate.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import { copyError } from '../executor/error-copy.ts';
import { loopMetrics } from '../inspect/metrics.ts';
import { snapshot } from '../inspect/snapshot.ts';
import { runningLoop } from '../loop/context.ts';
import type { TimerHandle } from '../loop/handle.ts';
import { NodeEventLoop } from '../loops/node-event-loop.ts';
import { UvEventLoop } from '../loops/uv-event-loop.ts';
import { run } from '../runner.ts';
import type { Task } from '../tasks/task.ts';
import { WorkerContext } from './context.ts';
import type { Envelope, FromWorker, StartMessage, ToWorker, WorkerAnswer } from './messages.ts';
import { openEnvelope } from './messages.ts';

class WorkerProgram {
  readonly #start: StartMessage;
  readonly #closing: AbortController = new AbortController();
  #context: WorkerContext | null = null;
  #main: Task<unknown> | null = null;
  #timer: TimerHandle | null = null;
  #isReady: boolean = false;
  #cancelled: boolean = false;

  constructor(start: StartMessage) {
    this.#start = start;
  }

  async run(): Promise<void> {
    const { native, module } = this.#start;
    const loopFactory = () => (native ? new UvEventLoop() : new NodeEventLoop());
    await run(
      async () => {
        const loop = runningLoop() as BaseEventLoop;
        const { main } = (await import(module)) as { main?: unknown };
        if (typeof main !== 'function')
          throw invalidArgType('main', main, `a function that ${module} exports`);
        const context = new WorkerContext(loop, this.#start, this.#closing.signal, () => this.#ready());
        this.#context = context;
        this.#main = loop.createTask(async () => main(context), { name: 'main of the worker' });
        if (this.#cancelled) this.#main.cancel();
        try {
          await this.#main;
        } catch (error) {
          // The end of the server cancels a main() that serves forever.
          if (!(this.#closing.signal.aborted && error instanceof CancelledError)) throw error;
        }
        this.#ready();
        await context._untilClosed();
        this.#timer?.cancel();
      },
      { loopFactory },
    );
  }

  /** Stops accepting, waits for the connections, and cancels the program at the deadline. */
  drain(deadline: number | null): void {
    const loop = this.#context?.loop;
    if (loop === undefined) {
      // The module is still loading, so nobody is connected.
      this.#cancelled = true;
      this.#closing.abort();
      return;
    }
    if (loop.isClosed()) return;
    loop.callSoonThreadsafe(() => {
      this.#timer?.cancel();
      this.#closing.abort();
      this.#context?._close();
      if (deadline !== null) this.#timer = loop.callLater(deadline, () => this.#cancel());
    });
  }

  /** Returns the worker's facts; null: it has no loop yet, or no more. */
  facts(): WorkerAnswer | null {
    const loop = this.#context?.loop;
    if (loop === undefined || loop.isClosed()) return null;
    const { heapUsed, rss } = process.memoryUsage();
    return {
      connections: connectionsOf(loop),
      heapUsed,
      rss,
      metrics: loopMetrics(loop),
      snapshot: snapshot(),
    };
  }

  #ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    post({ type: 'ready' });
  }

  #cancel(): void {
    const loop = this.#context?.loop as BaseEventLoop;
    post({ type: 'cancelling', connections: connectionsOf(loop) });
    this.#main?.cancel();
    this.#context?._abort();
  }
}

function connectionsOf(loop: BaseEventLoop): number {
  return [...loop._owned.resources].filter((resource) => resource._resourceFacts?.().accepted === true)
    .length;
}

/** Calls `then` when the message has left. */
function post(message: FromWorker, then: () => void = () => {}): void {
  const envelope: Envelope<FromWorker> = { gyreWorkers: message };
  if (parentPort !== null) {
    parentPort.postMessage(envelope);
    then();
  } else if (process.connected) process.send?.(envelope, undefined, undefined, then);
  else then();
}

let program: WorkerProgram | null = null;

function onMessage(value: unknown): void {
  const message = openEnvelope<ToWorker>(value);
  if (message === null) return;
  if (message.type === 'start') void start(message);
  else if (message.type === 'drain') program?.drain(message.deadline);
  else {
    const answer = program?.facts() ?? null;
    if (answer !== null) post({ type: 'answer', id: message.id, answer });
  }
}

/** Exits at the end, because the module may have left a timer or an open file behind. */
async function start(message: StartMessage): Promise<void> {
  program = new WorkerProgram(message);
  try {
    await program.run();
    post({ type: 'ended' }, () => process.exit(0));
  } catch (error) {
    post({ type: 'failed', error: copyError(error) }, () => process.exit(1));
  }
}

if (parentPort !== null) parentPort.on('message', onMessage);
else {
  process.on('message', onMessage);
  // A terminal sends its signals to the supervisor and the workers, and the supervisor decides.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => program?.drain(null));
  // The supervisor is gone: nobody would start this worker again, or end it.
  process.on('disconnect', () => process.exit(1));
}
post({ type: 'loaded' });
