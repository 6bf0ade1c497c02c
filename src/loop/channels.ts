/**
 * The channels of `node:diagnostics_channel`, for programs that watch: tracers, loggers, metrics. Nothing is
 * published, and no message is made, if nobody listens.
 *
 * - `gyre:turn`: a {@link TurnMessage} after one or more turns.
 * - `gyre:task`, `gyre:transport`, `gyre:process`, `gyre:executor` are spans, with the channels of a
 *   `TracingChannel`: `tracing:gyre:task:start` and `…:end` when it begins, `…:asyncStart` and `…:asyncEnd`
 *   when it has ended, and `…:error` before these if it failed. All get the same {@link SpanMessage}.
 */

interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: object): void;
}

interface DiagnosticsChannels {
  channel(name: string): Channel;
}

/** The message of `gyre:turn`. */
export interface TurnMessage {
  readonly loop: object;
  /** The number of turns since the last message, or since the loop got the thread. */
  readonly turns: number;
  /** The number of callbacks, timers and wake-ups that ran in them. */
  readonly entries: number;
  readonly seconds: number;
}

/**
 * The message of a span. The channels of one span get the same object, so subscribers may keep data in it.
 */
export interface SpanMessage {
  /** The task, transport or process transport; for an executor its job. */
  readonly subject: object;
  /** The name of the task, the function or the program; the addresses of a transport. */
  readonly name: string;
  readonly loop: object | null;
  /** Set before `error`. */
  error?: unknown;
  /** Set before `asyncStart`, if it did not fail: of a process its return code. */
  result?: unknown;
}

const SILENT: Channel = { hasSubscribers: false, publish() {} };

/** One kind of span. */
class Spans {
  #start: Channel = SILENT;
  #end: Channel = SILENT;
  #asyncStart: Channel = SILENT;
  #asyncEnd: Channel = SILENT;
  #error: Channel = SILENT;
  readonly #open: WeakMap<object, SpanMessage> = new WeakMap();

  open(diagnostics: DiagnosticsChannels, name: string): void {
    const channel = (event: string): Channel => diagnostics.channel(`tracing:gyre:${name}:${event}`);
    this.#start = channel('start');
    this.#end = channel('end');
    this.#asyncStart = channel('asyncStart');
    this.#asyncEnd = channel('asyncEnd');
    this.#error = channel('error');
  }

  /** True if somebody listens. Ask before making a message. */
  get watched(): boolean {
    return (
      this.#start.hasSubscribers ||
      this.#asyncEnd.hasSubscribers ||
      this.#error.hasSubscribers ||
      this.#end.hasSubscribers ||
      this.#asyncStart.hasSubscribers
    );
  }

  begin(message: SpanMessage): void {
    this.#open.set(message.subject, message);
    this.#start.publish(message);
    this.#end.publish(message);
  }

  /**
   * @param message for a span that nobody watched when it began
   * @param error null: it did not fail
   */
  finish(message: SpanMessage, error: unknown, result?: unknown): void {
    const open = this.#open.get(message.subject) ?? message;
    this.#open.delete(message.subject);
    if (error !== null) {
      open.error = error;
      this.#error.publish(open);
    } else {
      open.result = result;
    }
    this.#asyncStart.publish(open);
    this.#asyncEnd.publish(open);
  }
}

export const taskSpans: Spans = new Spans();
export const transportSpans: Spans = new Spans();
export const processSpans: Spans = new Spans();
export const executorSpans: Spans = new Spans();
let turns: Channel = SILENT;
let opened = false;

/** Finds the channels, before the first loop or pool is made. */
export function openChannels(load: () => DiagnosticsChannels): void {
  if (opened) return;
  opened = true;
  const diagnostics = load();
  turns = diagnostics.channel('gyre:turn');
  taskSpans.open(diagnostics, 'task');
  transportSpans.open(diagnostics, 'transport');
  processSpans.open(diagnostics, 'process');
  executorSpans.open(diagnostics, 'executor');
}

/** Tells of turns that have ended. */
export function publishTurns(loop: object, count: number, entries: number, seconds: number): void {
  if (!turns.hasSubscribers) return;
  const message: TurnMessage = { loop, turns: count, entries, seconds };
  turns.publish(message);
}
