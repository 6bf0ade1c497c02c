/** Looks into a process that has imported `gyre/inspect`, through its unix sockets: one for each thread. */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { getRunningLoop, timeout } from '../../index.ts';
import { Problem } from '../problem.ts';
import type { InspectAnswer } from '../socket/listen.ts';
import { socketPath, threadsWithSocket } from '../socket/socket-path.ts';
import type { Answer, Probe } from './probe.ts';
import { listensOn } from './process-facts.ts';

/** Seconds for an answer. A thread gives none while a callback holds its loop. */
const ANSWER = 5;

export class SocketProbe implements Probe {
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
  }

  /** Returns a probe if the process listens, and its main thread answers. */
  static async find(pid: number): Promise<SocketProbe | undefined> {
    if (!threadsWithSocket(pid).includes(0) || !listensOn(pid, socketPath(pid, 0))) return undefined;
    // No copy of gyre has this method, so the answer is an empty list, and costs the process nothing.
    const answered = await question(socketPath(pid, 0), { method: 'ping' }).catch(() => undefined);
    return answered === undefined ? undefined : new SocketProbe(pid);
  }

  async ask<T>(method: string, argument: object = {}): Promise<Answer<T>[]> {
    const answers = threadsWithSocket(this.#pid).map(async (thread) => {
      const values = await question(socketPath(this.#pid, thread), { method, argument });
      return (values ?? []).map((value) => ({ thread, value: value as T }));
    });
    return (await Promise.all(answers)).flat();
  }

  /** A thread that answers waits for events. */
  async stack(): Promise<string[]> {
    return [];
  }

  async close(): Promise<void> {}
}

/** Sends one request, and returns undefined if nobody listens there any more. */
async function question(file: string, request: object): Promise<unknown[] | undefined> {
  const answered = getRunningLoop().createFuture<InspectAnswer | undefined>();
  const connection = connect(file, () => connection.write(`${JSON.stringify(request)}\n`));
  const finish = (answer?: InspectAnswer) => {
    if (!answered.done()) answered.setResult(answer);
  };
  connection.on('error', () => finish());
  connection.on('close', () => finish());
  const lines = createInterface({ input: connection });
  lines.on('error', () => finish()); // it repeats the errors of the connection
  lines.once('line', (line) => finish(JSON.parse(line) as InspectAnswer));
  try {
    const answer = await timeout(ANSWER, () => answered);
    if (answer !== undefined && 'error' in answer) throw new Problem(`the process threw: ${answer.error}`);
    return answer?.values;
  } finally {
    connection.destroy();
  }
}
