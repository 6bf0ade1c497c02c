/** `gyre/testing`: what a test needs to see that it left nothing behind, and what a transport must pass. */
import { strict as assert } from 'node:assert';
import { LoopError } from '../base/errors.ts';
import { checkFunction, checkOptions } from '../base/validate.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import type { Leak } from '../loop/ownership.ts';
import { leakLine } from '../loop/ownership.ts';
import type { ExceptionContext } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import { newEventLoop } from '../policy.ts';
import { sleep } from '../tasks/sleep.ts';
import { timeout } from '../tasks/timeout.ts';

export type { Leak } from '../loop/ownership.ts';

// --- leaks ---

/**
 * What a loop still owns: tasks that are not done, connections, servers and lookups, processes that were not reaped, in debug mode
 * locks that are held, and exceptions that nobody has looked at. Each with the task that made it, its age, and in debug mode the
 * stack of its creation. Nothing is ended: closing the loop does that, and reports the same.
 *
 * @param loop open or closed: a closed one owns nothing
 * @returns kind by kind, in order of creation
 *
 * @example
 * ```ts
 * import { Protocol, newEventLoop } from 'gyre';
 * import { leaks } from 'gyre/testing';
 *
 * const loop = newEventLoop();
 * await loop.runUntilComplete(async () => {
 *   const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
 *   console.log(leaks(loop).map(({ kind }) => kind)); // [ 'task', 'handle' ]: this task, and the server
 *   server.close();
 * });
 * console.log(leaks(loop)); // []
 * loop.close();
 * ```
 */
export function leaks(loop: BaseEventLoop): Leak[] {
  return loop._owned.leaks();
}

/**
 * Throws when a loop still runs or still owns something: see {@link leaks}. For the end of each test, before its loop is closed.
 *
 * The message names each thing that is left, with its owner and age, in debug mode with the stack of its creation. Nothing is
 * ended: closing the loop does that.
 *
 * @param loop the loop of the test
 * @throws Error when something is left
 *
 * @example
 * ```ts
 * import { sleep } from 'gyre';
 * import { SimulatedEventLoop } from 'gyre/sim';
 * import { checkLoopEmpty } from 'gyre/testing';
 * import { afterEach, beforeEach, test } from 'node:test';
 *
 * let loop: SimulatedEventLoop;
 * beforeEach(() => {
 *   loop = new SimulatedEventLoop();
 * });
 * afterEach(() => {
 *   try {
 *     checkLoopEmpty(loop);
 *   } finally {
 *     loop.close();
 *   }
 * });
 *
 * test('an hour passes', () => loop.runUntilComplete(() => sleep(3600)));
 * ```
 */
export function checkLoopEmpty(loop: BaseEventLoop): void {
  const left = loop.isRunning() ? ['it is still running'] : [];
  left.push(...leaks(loop).map(leakLine));
  if (left.length > 0) throw new Error(`the event loop is not empty:\n  ${left.join('\n  ')}`);
}

/** What the exception handler of a loop was told, for the body of {@link withLoop}: what is expected is taken off the list. */
export interface Reports {
  /** Adds one: for an exception handler that the body sets itself. */
  add(context: ExceptionContext): void;
  /** The reports so far; the list is empty afterwards. */
  take(): ExceptionContext[];
  /** Their messages; the list is empty afterwards. */
  takeMessages(): string[];
}

class ReportList implements Reports {
  readonly #contexts: ExceptionContext[] = [];

  add(context: ExceptionContext): void {
    this.#contexts.push(context);
  }

  take(): ExceptionContext[] {
    return this.#contexts.splice(0);
  }

  takeMessages(): string[] {
    return this.take().map((context) => context.message);
  }
}

/**
 * Gives `body` a fresh loop, and sees that it leaves nothing: afterwards the loop must be stopped, own nothing ({@link leaks}),
 * and have reported nothing to its exception handler that the body did not take, also not while it is closed; then it is
 * closed. Works with any test framework.
 *
 * @param makeLoop makes the loop: `newEventLoop`, or `() => new SimulatedEventLoop()`
 * @param body the test; it runs the loop itself. One that closes the loop takes what that reported
 * @returns what `body` returns
 * @throws what `body` throws; Error when something is left, which is ended then
 *
 * @example
 * ```ts
 * import { newEventLoop, sleep } from 'gyre';
 * import { withLoop } from 'gyre/testing';
 * import { test } from 'node:test';
 *
 * test('a task that fails is reported', () =>
 *   withLoop(newEventLoop, async (loop, reports) => {
 *     loop.callSoon(() => {
 *       throw new Error('bug');
 *     });
 *     await loop.runUntilComplete(() => sleep(0));
 *     console.log(reports.takeMessages()); // [ 'exception in a callback' ]
 *   }));
 * ```
 */
export async function withLoop<L extends BaseEventLoop, T>(
  makeLoop: () => L,
  body: (loop: L, reports: Reports) => T | PromiseLike<T>,
): Promise<T> {
  checkFunction('makeLoop', makeLoop);
  checkFunction('body', body);
  const loop = makeLoop();
  const reports = new ReportList();
  loop.setExceptionHandler((_loop, context) => reports.add(context));
  try {
    const result = await body(loop, reports);
    checkLoopEmpty(loop);
    loop.close();
    checkNothingReported(reports.take());
    return result;
  } finally {
    if (loop.isRunning()) loop.callSoonThreadsafe(() => loop.stop());
    else loop.close();
  }
}

function checkNothingReported(reports: ExceptionContext[]): void {
  if (reports.length === 0) return;
  const lines = reports.map(({ message, exception }) =>
    exception === undefined ? message : `${message}: ${String(exception)}`,
  );
  throw new Error(`the loop reported what the test did not expect:\n${lines.join('\n')}`);
}

// --- stream transports ---

/**
 * Connects two stream transports, for {@link checkStreamTransport}. It may give them any protocols: they get others, and nothing is
 * written before.
 */
export type MakeStreamPair = (loop: BaseEventLoop) => PromiseLike<readonly [near: Transport, far: Transport]>;

/** Options of {@link checkStreamTransport}. */
export interface CheckStreamTransportOptions {
  /** Makes a loop for each check. Default: `newEventLoop`. */
  makeLoop?: () => BaseEventLoop;
}

/** Seconds, on the loop's clock. A check that waits for what never comes fails instead of hanging. */
const CHECK_SECONDS = 120;
/** More than the kernel takes for one connection on any machine that we know: Linux stops at 36 MiB. */
const CLOG_BYTES = 64 * 1024 * 1024;
const CLOG_PIECE_BYTES = 1024 * 1024;

/**
 * Checks what every stream transport keeps, whatever is below it: order, flow control, the end of either direction, closing and
 * aborting, on open connections and on clogged ones, where most mistakes of close and cancel show. For whoever writes a
 * transport, a backend, or a layer over one.
 *
 * Each check makes a pair on a loop of its own, on which nothing may be left: see {@link withLoop}. The clogged ones write 64 MiB.
 *
 * @param makePair connects two transports; called once for each check
 * @param options `makeLoop`
 * @throws Error that names the check, with what was wrong as its `cause`
 *
 * @example
 * ```ts
 * import { type BaseEventLoop, Protocol, type Transport } from 'gyre';
 * import { checkStreamTransport } from 'gyre/testing';
 *
 * await checkStreamTransport(async (loop: BaseEventLoop) => {
 *   const accepted = loop.createFuture<Transport>();
 *   class Accepting extends Protocol {
 *     override connectionMade(transport: Transport) {
 *       accepted.setResult(transport);
 *     }
 *   }
 *   const server = await loop.createServer(() => new Accepting(), '127.0.0.1', 0);
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const [near] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
 *   const far = await accepted;
 *   server.close();
 *   return [near, far];
 * });
 * ```
 */
export async function checkStreamTransport(
  makePair: MakeStreamPair,
  options: CheckStreamTransportOptions = {},
): Promise<void> {
  checkOptions('options', options, ['makeLoop']);
  const { makeLoop = newEventLoop } = options;
  checkFunction('options.makeLoop', makeLoop);
  for (const [name, check] of Object.entries(streamTransportChecks(makePair))) {
    try {
      await withLoop(makeLoop, (loop) => loop.runUntilComplete(() => check(loop)));
    } catch (cause) {
      throw new Error(`a stream transport must keep this: ${name}. ${String(cause)}`, { cause });
    }
  }
}

/**
 * The checks of {@link checkStreamTransport} one by one, for a framework that shows each as a test of its own.
 *
 * @param makePair connects two transports; called once for each check
 * @returns by what each checks: a function to be run as a task of a loop, on which nothing is left afterwards
 *
 * @example
 * ```ts
 * import { newEventLoop } from 'gyre';
 * import { type MakeStreamPair, streamTransportChecks, withLoop } from 'gyre/testing';
 * import { test } from 'node:test';
 *
 * function testTransport(makePair: MakeStreamPair) {
 *   for (const [name, check] of Object.entries(streamTransportChecks(makePair))) {
 *     test(name, () => withLoop(newEventLoop, (loop) => loop.runUntilComplete(() => check(loop))));
 *   }
 * }
 * ```
 */
export function streamTransportChecks(
  makePair: MakeStreamPair,
): Record<string, (loop: BaseEventLoop) => Promise<void>> {
  checkFunction('makePair', makePair);
  const checks = Object.entries(STREAM_CHECKS).map(([name, check]) => {
    const limited = (loop: BaseEventLoop): Promise<void> =>
      timeout(CHECK_SECONDS, async () => check(await witnesses(loop, makePair)));
    return [name, limited];
  });
  return Object.fromEntries(checks);
}

/** Both sides of a connection, as one check sees them. */
interface Pair {
  near: Witness;
  far: Witness;
}

async function witnesses(loop: BaseEventLoop, makePair: MakeStreamPair): Promise<Pair> {
  const [near, far] = await makePair(loop);
  return { near: new Witness(loop, near), far: new Witness(loop, far) };
}

/** The far side does not read, and the near side has written more than is taken without that. */
async function clogged(pair: Pair): Promise<number> {
  pair.far.transport.pauseReading();
  const piece = Buffer.alloc(CLOG_PIECE_BYTES, 'clog');
  for (let bytes = 0; bytes < CLOG_BYTES; bytes += piece.length) pair.near.transport.write(piece);
  await pair.near.untilTold('pause');
  return CLOG_BYTES;
}

const STREAM_CHECKS: Record<string, (pair: Pair) => Promise<void>> = {
  async 'data arrives in order, in both directions, before the end of the stream'({ near, far }) {
    near.transport.write('one ');
    near.transport.writelines(['two ', Buffer.from('three')]);
    far.transport.write('answer');
    await far.untilReceived(13);
    await near.untilReceived(6);
    await end(near, far);
    assert.deepEqual([near.text, far.text], ['answer', 'one two three']);
    assert.deepEqual(near.log, ['data', 'lost']);
    assert.deepEqual(far.log, ['data', 'eof', 'lost']);
  },

  async 'empty data is nothing'({ near, far }) {
    near.transport.write('');
    near.transport.writelines([]);
    assert.equal(near.transport.getWriteBufferSize(), 0);
    await end(near, far);
    assert.deepEqual(far.log, ['eof', 'lost']);
  },

  async 'the limits of the write buffer are 16 KiB and 64 KiB unless set'({ near, far }) {
    assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
    near.transport.setWriteBufferLimits({ high: 400 });
    assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 100, high: 400 });
    await end(near, far);
  },

  async 'closing twice is closing once, is no call to the protocol, and drops what is written later'({
    near,
    far,
  }) {
    near.transport.write('before');
    near.transport.close();
    near.transport.close();
    near.transport.write('after');
    assert.deepEqual([near.transport.isClosing(), near.lost], [true, false]);
    await near.untilLost();
    await far.untilLost();
    near.transport.close();
    near.transport.abort();
    assert.equal(near.log.filter((word) => word === 'lost').length, 1);
    assert.equal(far.text, 'before');
  },

  async 'the end of the writing side comes behind the data and lets the other direction be'({ near, far }) {
    if (!near.transport.canWriteEof()) {
      assert.throws(() => near.transport.writeEof(), isLoopError('ERR_UNSUPPORTED'));
      await end(near, far);
      return;
    }
    far.keepOpen = true;
    near.transport.write('question');
    near.transport.writeEof();
    assert.throws(() => near.transport.write('more'), isLoopError('ERR_TRANSPORT_CLOSED'));
    await far.untilTold('eof');
    assert.equal(far.text, 'question');
    assert.equal(far.transport.isClosing(), false);
    far.transport.write('answer');
    far.transport.writeEof();
    await near.untilLost();
    await far.untilLost();
    assert.equal(near.text, 'answer');
    assert.deepEqual([near.exception, far.exception], [null, null]);
  },

  async 'reading that is paused gets nothing until it is resumed; both may be asked twice'({ near, far }) {
    far.transport.pauseReading();
    far.transport.pauseReading();
    assert.equal(far.transport.isReading(), false);
    near.transport.write('waits');
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.deepEqual(far.log, []);
    far.transport.resumeReading();
    far.transport.resumeReading();
    await far.untilReceived(5);
    await end(near, far);
    assert.equal(far.text, 'waits');
  },

  async 'another protocol is told what follows'({ near, far }) {
    near.transport.write('one');
    await far.untilReceived(3);
    const other = new Witness(far.loop, far.transport);
    assert.equal(far.transport.getProtocol(), other);
    near.transport.write('two');
    await other.untilReceived(3);
    near.transport.close();
    await other.untilLost();
    await near.untilLost();
    assert.deepEqual([far.text, other.text, far.lost], ['one', 'two', false]);
  },

  async 'aborting ends it at once, without an error on this side'({ near, far }) {
    near.transport.abort();
    near.transport.abort();
    assert.equal(near.lost, false);
    await near.untilLost();
    await far.untilLost();
    assert.equal(near.exception, null);
  },

  async 'a clogged stream has paused its writer once, and resumes it once when it has room'({ near, far }) {
    const written = await clogged({ near, far });
    assert.ok(near.transport.getWriteBufferSize() > near.transport.getWriteBufferLimits().high);
    near.transport.write('more');
    far.transport.resumeReading();
    await far.untilReceived(written + 4);
    await near.untilTold('resume');
    assert.deepEqual(near.log, ['pause', 'resume']);
    await end(near, far);
  },

  async 'closing a clogged stream waits until everything has left'({ near, far }) {
    const written = await clogged({ near, far });
    near.transport.close();
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.equal(near.lost, false);
    far.transport.resumeReading();
    await far.untilLost();
    await near.untilLost();
    assert.equal(far.received, written);
    assert.deepEqual([near.exception, far.exception], [null, null]);
  },

  async 'aborting a clogged stream drops what has not left and waits for nobody'({ near, far }) {
    const written = await clogged({ near, far });
    near.transport.abort();
    assert.equal(near.transport.getWriteBufferSize(), 0);
    await near.untilLost();
    assert.equal(near.exception, null);
    far.transport.resumeReading();
    await far.untilLost();
    assert.ok(far.received < written);
  },

  async 'aborting a clogged stream that is being closed ends it, too'({ near, far }) {
    await clogged({ near, far });
    near.transport.close();
    await sleep(0);
    near.transport.abort();
    await near.untilLost();
    assert.equal(near.exception, null);
    far.transport.abort();
    await far.untilLost();
  },

  async 'a peer that aborts while a clogged stream writes to it is the error that it is lost by'({
    near,
    far,
  }) {
    await clogged({ near, far });
    far.transport.abort();
    await near.untilLost();
    assert.ok(near.exception instanceof Error);
    await far.untilLost();
  },
};

async function end(near: Witness, far: Witness): Promise<void> {
  near.transport.close();
  await near.untilLost();
  await far.untilLost();
  assert.deepEqual([near.exception, far.exception], [null, null]);
}

function isLoopError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LoopError && error.code === code;
}

/** The protocol of one side: remembers what it was told, and lets a check wait for it. */
class Witness implements Protocol {
  readonly loop: BaseEventLoop;
  readonly transport: Transport;
  /** `data`, `eof`, `pause`, `resume`, `lost`: data that came in several pieces counts once. */
  readonly log: string[] = [];
  received: number = 0;
  /** What `eofReceived` answers. */
  keepOpen: boolean = false;
  /** Of `connectionLost`; undefined before. */
  exception: Error | null | undefined = undefined;
  /** Only the first of it is looked at: clogs are large. */
  #text: string = '';
  #told: { done(): boolean; setResult(value: undefined): void } | null = null;

  constructor(loop: BaseEventLoop, transport: Transport) {
    this.loop = loop;
    this.transport = transport;
    transport.setProtocol(this);
  }

  get text(): string {
    return this.#text;
  }

  get lost(): boolean {
    return this.exception !== undefined;
  }

  connectionMade(): void {
    assert.fail('connectionMade() was called by setProtocol()');
  }

  dataReceived(data: Buffer): void {
    if (this.received < 1000) this.#text += data.toString('latin1', 0, 1000);
    this.received += data.length;
    if (this.log.at(-1) === 'data') this.log.pop();
    this.#note('data');
  }

  eofReceived(): boolean {
    this.#note('eof');
    return this.keepOpen;
  }

  pauseWriting(): void {
    this.#note('pause');
  }

  resumeWriting(): void {
    this.#note('resume');
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.#note('lost');
  }

  untilTold(word: string): Promise<void> {
    return this.#until(() => this.log.includes(word));
  }

  untilReceived(bytes: number): Promise<void> {
    return this.#until(() => this.received >= bytes);
  }

  untilLost(): Promise<void> {
    return this.#until(() => this.lost);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const told = this.loop.createFuture<undefined>();
      this.#told = told;
      await told;
    }
  }

  #note(word: string): void {
    this.log.push(word);
    const told = this.#told;
    this.#told = null;
    if (told !== null && !told.done()) told.setResult(undefined);
  }
}
