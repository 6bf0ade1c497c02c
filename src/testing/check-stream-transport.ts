/**
 * The checks of stream-checks.ts for whoever makes a stream transport: each on a loop and a connection of its
 * own.
 */
import { checkFunction, checkOptions, invalidArgType } from '../base/validate.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import type { Transport } from '../net/transport.ts';
import { newEventLoop } from '../policy.ts';
import { timeout } from '../tasks/timeout.ts';
import { RecordingProtocol } from './recording-protocol.ts';
import type { Pair } from './stream-checks.ts';
import { STREAM_CHECKS } from './stream-checks.ts';
import { withLoop } from './with-loop.ts';

/**
 * Connects two stream transports, for {@link checkStreamTransport}. It may give them any protocols: they get
 * others, and nothing is written before.
 */
export type MakeStreamPair = (loop: BaseEventLoop) => PromiseLike<readonly [near: Transport, far: Transport]>;

/** Options of {@link checkStreamTransport}. */
export interface CheckStreamTransportOptions {
  /** Makes a loop for each check. Default: `newEventLoop`. */
  makeLoop?: () => BaseEventLoop;
}

/** Seconds, on the loop's clock. A check that waits for what never comes fails instead of hanging. */
const CHECK_SECONDS = 120;

/**
 * Checks what every stream transport keeps, whatever is below it: order, flow control, the end of either
 * direction, closing and aborting, on open connections and on clogged ones, where most mistakes of close and
 * cancel show. For whoever writes a transport, a backend, or a layer over one.
 *
 * Each check makes a pair on a loop of its own, on which nothing may be left: see {@link withLoop}. The
 * clogged ones write 64 MiB.
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
 * The checks of {@link checkStreamTransport} one by one, for a framework that shows each as a test of its
 * own.
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

async function witnesses(loop: BaseEventLoop, makePair: MakeStreamPair): Promise<Pair> {
  const pair: unknown = await makePair(loop);
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw invalidArgType('makePair()', pair, 'an array of two transports, or a promise of one');
  }
  const [near, far] = pair as [Transport, Transport];
  return { near: new RecordingProtocol(loop, near), far: new RecordingProtocol(loop, far) };
}
