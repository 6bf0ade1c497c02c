/**
 * Runs the checks of stream-checks.ts for the author of a stream transport, each on its own loop and
 * connection.
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
 * Connects two stream transports, for {@link checkStreamTransport}. It may give them any protocols, because
 * the checks replace them. It must not write any data.
 */
export type MakeStreamPair = (loop: BaseEventLoop) => PromiseLike<readonly [near: Transport, far: Transport]>;

/** Options of {@link checkStreamTransport}. */
export interface CheckStreamTransportOptions {
  /** Makes a loop for each check. Default: `newEventLoop`. */
  makeLoop?: () => BaseEventLoop;
}

/** Seconds on the loop's clock. A check that waits longer fails, so that it does not hang. */
const CHECK_SECONDS = 120;

/**
 * Checks the rules that every stream transport must follow: order of data, flow control, the end of each
 * direction, close and abort. It checks open connections and clogged ones, which show most mistakes in close
 * and cancel. For the author of a transport, a backend, or a layer over one.
 *
 * Each check makes a pair on its own loop, and fails if anything is left on that loop: see {@link withLoop}.
 * The checks of clogged connections write 64 MiB.
 *
 * @param makePair connects two transports; called once for each check
 * @param options `makeLoop`
 * @throws Error with the name of the failed check, and its failure as `cause`
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
      throw new Error(`a stream transport breaks this rule: ${name}. ${String(cause)}`, { cause });
    }
  }
}

/**
 * Returns the checks of {@link checkStreamTransport} one by one, for a framework that shows each as its own
 * test.
 *
 * @param makePair connects two transports; called once for each check
 * @returns functions by the names of the checks. Run each as a task of a loop; afterwards nothing is left on
 *   the loop
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
      timeout(CHECK_SECONDS, async () => check(await recordBoth(loop, makePair)));
    return [name, limited];
  });
  return Object.fromEntries(checks);
}

async function recordBoth(loop: BaseEventLoop, makePair: MakeStreamPair): Promise<Pair> {
  const pair: unknown = await makePair(loop);
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw invalidArgType('makePair()', pair, 'an array of two transports, or a promise of such an array');
  }
  const [near, far] = pair as [Transport, Transport];
  return { near: new RecordingProtocol(loop, near), far: new RecordingProtocol(loop, far) };
}
