/** A client of the Chrome DevTools Protocol, which Node's inspector speaks over a WebSocket. */
import type { Future } from '../../index.ts';
import { getRunningLoop, timeout } from '../../index.ts';
import { Problem } from '../problem.ts';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** Sends the text of a message to the target. */
type Send = (text: string) => void;

/** One target: the main thread, or a worker thread through it. */
export class DevTools {
  readonly #send: Send;
  readonly #pending = new Map<number, Future<unknown>>();
  readonly #listeners = new Map<string, (params: Record<string, unknown>) => void>();
  #ended: Problem | undefined;
  #lastId = 0;

  constructor(send: Send) {
    this.#send = send;
  }

  /**
   * Calls a method of the protocol.
   *
   * @param seconds until the target must have answered
   */
  async call<T>(method: string, params: object, seconds: number): Promise<T> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#lastId;
    const answer = getRunningLoop().createFuture<unknown>();
    this.#pending.set(id, answer);
    try {
      this.#send(JSON.stringify({ id, method, params }));
      return (await timeout(seconds, () => answer)) as T;
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Calls the listener at each event of this name. */
  on(event: string, listener: (params: Record<string, unknown>) => void): void {
    this.#listeners.set(event, listener);
  }

  /** Takes in a message from the target. */
  received(text: string): void {
    const message = JSON.parse(text) as Message;
    if (message.method !== undefined) this.#listeners.get(message.method)?.(message.params ?? {});
    const answer = this.#pending.get(message.id ?? 0);
    if (answer === undefined || answer.done()) return;
    if (message.error === undefined) answer.setResult(message.result);
    else answer.setException(new Problem(`the inspector refused: ${message.error.message}`));
  }

  /** Fails every pending call: the target has gone. */
  ended(reason: Problem): void {
    this.#ended = reason;
    for (const answer of this.#pending.values()) if (!answer.done()) answer.setException(reason);
  }
}
