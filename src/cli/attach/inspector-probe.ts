/** Looks into a process through Node's inspector. */
import { getRunningLoop, sleep, timeout } from '../../index.ts';
import { Problem } from '../problem.ts';
import { DevTools } from './devtools.ts';
import type { Inspector } from './open-inspector.ts';
import type { Answer, Probe } from './probe.ts';
import { listeningSockets } from './process-facts.ts';

/** Seconds for an answer. A thread in a long call of native code gives none. */
const ANSWER = 5;
/** Seconds for the process to close its inspector. */
const CLOSING = 1;

export class InspectorProbe implements Probe {
  readonly #inspector: Inspector;
  readonly #socket: WebSocket;
  readonly #main: DevTools;
  /** By the session of the inspector. */
  readonly #workers = new Map<string, { thread: number; target: DevTools }>();
  #followsWorkers: Promise<unknown> | undefined;

  private constructor(inspector: Inspector, socket: WebSocket) {
    this.#inspector = inspector;
    this.#socket = socket;
    this.#main = new DevTools((text) => socket.send(text));
    socket.onmessage = ({ data }) => this.#main.received(String(data));
    socket.onclose = () => this.#main.ended(new Problem('the process has ended, or closed its inspector'));
    this.#main.on('NodeWorker.attachedToWorker', (params) => this.#attached(params as unknown as Attached));
    this.#main.on('NodeWorker.detachedFromWorker', ({ sessionId }) => this.#detached(sessionId as string));
    this.#main.on('NodeWorker.receivedMessageFromWorker', ({ sessionId, message }) =>
      this.#workers.get(sessionId as string)?.target.received(message as string),
    );
  }

  static async connect(inspector: Inspector): Promise<InspectorProbe> {
    const socket = new WebSocket(inspector.url);
    const probe = new InspectorProbe(inspector, socket);
    const open = getRunningLoop().createFuture<void>();
    socket.onopen = () => open.setResult();
    socket.onerror = () => {
      if (!open.done()) open.setException(new Problem('the inspector closed the connection'));
    };
    await timeout(ANSWER, () => open);
    // Not at the end: this command may be killed, and the port must not stay open for other users.
    if (!inspector.wasOpen) void evaluate(probe.#main, closeWhenAlone(inspector.port)).catch(() => {});
    return probe;
  }

  async ask<T>(method: string, argument: object = {}): Promise<Answer<T>[]> {
    const expression = `(globalThis[Symbol.for('gyre.inspect')] ?? [])
      .filter((copy) => copy.${method} !== undefined).map((copy) => copy.${method}(${JSON.stringify(argument)}))`;
    await this.#followWorkers();
    const answers = await Promise.all([
      evaluate<T[]>(this.#main, expression).then((values = []) => ({ thread: 0, values })),
      ...[...this.#workers.values()].map(async ({ thread, target }) => ({
        thread,
        // A worker may end at any time, or be in a long call of native code.
        values: (await evaluate<T[]>(target, expression).catch(() => [])) ?? [],
      })),
    ]);
    return answers.flatMap(({ thread, values }) => values.map((value) => ({ thread, value })));
  }

  async stack(): Promise<string[]> {
    // The inspector interrupts the code that runs, so the frames of that code are below the expression's own.
    return interruptedFrames((await evaluate<string>(this.#main, STACK)) ?? '');
  }

  async close(): Promise<void> {
    await this.#main.call('NodeWorker.disable', {}, ANSWER).catch(() => {});
    const closed = getRunningLoop().createFuture<void>();
    this.#socket.onclose = () => closed.setResult();
    this.#socket.close();
    await timeout(ANSWER, () => closed).catch(() => {});
    if (!this.#inspector.wasOpen) await this.#portClosed();
  }

  /** Waits a moment, so that the next command finds the process as this one did. A held loop closes later. */
  async #portClosed(): Promise<void> {
    const { pid, port } = this.#inspector;
    const end = getRunningLoop().time() + CLOSING;
    try {
      while (listeningSockets(pid).some((socket) => socket.port === port) && getRunningLoop().time() < end) {
        await sleep(0.01);
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the process has ended
    }
  }

  /** Attaches to the worker threads. Those that start later attach by themselves. */
  async #followWorkers(): Promise<void> {
    this.#followsWorkers ??= this.#main.call('NodeWorker.enable', { waitForDebuggerOnStart: false }, ANSWER);
    await this.#followsWorkers;
  }

  #attached({ sessionId, workerInfo }: Attached): void {
    const target = new DevTools((message) => {
      void this.#main.call('NodeWorker.sendMessageToWorker', { sessionId, message }, ANSWER).catch(() => {});
    });
    this.#workers.set(sessionId, { thread: Number(workerInfo.workerId), target });
  }

  #detached(sessionId: string): void {
    this.#workers.get(sessionId)?.target.ended(new Problem('the worker thread has ended'));
    this.#workers.delete(sessionId);
  }
}

interface Attached {
  readonly sessionId: string;
  readonly workerInfo: { readonly workerId: string };
}

interface Evaluated<T> {
  readonly result: { readonly value?: T };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { readonly description?: string };
  };
}

async function evaluate<T>(target: DevTools, expression: string): Promise<T | undefined> {
  const { result, exceptionDetails: thrown } = await target.call<Evaluated<T>>(
    'Runtime.evaluate',
    { expression, returnByValue: true, silent: true },
    ANSWER,
  );
  if (thrown !== undefined)
    throw new Problem(`the process threw: ${thrown.exception?.description ?? thrown.text}`);
  return result.value;
}

/** The name of this command's code in the stacks of the other process. */
const OWN_CODE = 'gyre:close-when-alone';

/** Returns the frames below the expression {@link STACK}; none if the code is this command's own timer. */
export function interruptedFrames(stack: string): string[] {
  const frames = stack.split('\n').map((line) => /^\s+at (.*)/.exec(line)?.[1]);
  const interrupted = frames.filter((frame) => frame !== undefined).slice(2);
  return interrupted.some((frame) => frame.includes(OWN_CODE)) ? [] : interrupted;
}

/** The program's own limit of frames may be small, so this sets it for one error. */
const STACK = `(() => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 50;
  try { return new Error().stack; } finally { Error.stackTraceLimit = stackTraceLimit; }
})()`;

/**
 * Closes the inspector from within the process when nobody is connected to it.
 *
 * Don't close it in the call itself: Node crashes if its inspector is closed while a session is attached. The
 * kernel's table of connections tells when the last one has gone. The timer keeps no program alive.
 */
const closeWhenAlone = (port: number) => `(() => {
  const { existsSync, readFileSync } = process.getBuiltinModule('node:fs');
  const inspector = process.getBuiltinModule('node:inspector');
  const tables = ['/proc/self/net/tcp', '/proc/self/net/tcp6'].filter(existsSync);
  const established = new RegExp(':${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F:]+ 01 ');
  const close = () => {
    if (tables.some((table) => established.test(readFileSync(table, 'latin1')))) later();
    else inspector.close();
  };
  const later = () => void setTimeout(close, 50).unref();
  later();
})()
//# sourceURL=${OWN_CODE}`;
