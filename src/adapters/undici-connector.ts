/** `undiciConnector`: the connections of undici as connections of the loop. */
import type { Socket } from 'node:net';
import { LoopError, TimeoutError } from '../base/errors.ts';
import { checkBoolean, checkOptions, checkSecondsOrNull, checkString } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import { loopFor } from './adapter.ts';
import { dial } from './dial.ts';
import { checkSsl, tlsOf } from './tls-of-request.ts';
import type { TransportDuplex } from './transport-duplex.ts';

/** The options of `undiciConnector`. */
export interface UndiciConnectorOptions {
  /**
   * TLS for `https:` URLs: true (default) for the system's default trust, `tls.ConnectionOptions`, or a
   * `tls.SecureContext`.
   */
  ssl?: unknown;
  /** Offers HTTP/2 in ALPN. undici needs its own option `allowH2`, too. Default: false. */
  allowH2?: boolean;
  /** The path of a unix socket, to which all requests go. */
  socketPath?: string;
  /** Seconds until an attempt to connect fails. Null: no limit. Default: 10, as in undici. */
  timeout?: number | null;
  /** The loop of the connections. Default: the running loop, at each connection. */
  loop?: Loop;
}

/** The options that undici passes to a connector. */
export interface UndiciConnectOptions {
  hostname: string;
  protocol: string;
  port: string;
  servername?: string | undefined;
  localAddress?: string | null | undefined;
  httpSocket?: Socket | undefined;
}

/** The function that undici's `Client`, `Pool` and `Agent` take as `connect`. */
export type UndiciConnector = (
  options: UndiciConnectOptions,
  callback: (...args: [null, Socket] | [Error, null]) => void,
) => void;

const OPTIONS = ['ssl', 'allowH2', 'socketPath', 'timeout', 'loop'];
const DEFAULT_TIMEOUT_SECONDS = 10;

/**
 * Returns a connector for undici's `Client`, `Pool` and `Agent`, and so for its `fetch()`. The connections
 * belong to the running loop, or to the option `loop`.
 *
 * A connection that fails, or times out, fails its request: `ERR_NO_RUNNING_LOOP` outside of a loop,
 * `ERR_LOOP_CLOSED` if the loop is closed, `ERR_TIMEOUT`, or the system's error.
 *
 * @param options `ssl`, `allowH2`, `socketPath`, `timeout` in seconds, `loop`
 * @throws TypeError, RangeError; LoopError `ERR_LOOP_CLOSED`
 *
 * @example
 * ```ts
 * import { run } from 'gyre';
 * import { serve, undiciConnector } from 'gyre/node';
 * import { Client } from 'undici';
 *
 * await run(async () => {
 *   await using server = await serve((_request, response) => response.end('hello'), { port: 0 });
 *   const client = new Client(server.url, { connect: undiciConnector() });
 *   const { body } = await client.request({ path: '/', method: 'GET' });
 *   console.log(await body.text()); // hello
 *   await client.close();
 * });
 * ```
 */
export function undiciConnector(options: UndiciConnectorOptions = {}): UndiciConnector {
  checkOptions('options', options, OPTIONS);
  const { ssl = true, allowH2 = false, socketPath, timeout = DEFAULT_TIMEOUT_SECONDS, loop } = options;
  checkSsl(ssl);
  checkBoolean('options.allowH2', allowH2);
  checkSecondsOrNull('options.timeout', timeout);
  if (socketPath !== undefined) checkString('options.socketPath', socketPath);
  if (loop !== undefined) loopFor(loop);
  const protocols = allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'];
  return (wanted, callback) => {
    const { hostname, protocol, port, servername, localAddress, httpSocket } = wanted;
    const secure = protocol === 'https:';
    // A literal IPv6 address of a URL has brackets.
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    const tls = secure ? { ssl: tlsOf(ssl, {}, protocols), serverHostname: servername || host } : {};
    try {
      if (httpSocket !== undefined) {
        throw new LoopError('ERR_UNSUPPORTED', 'this connector makes no TLS over the socket of a proxy');
      }
      const running = loopFor(loop);
      const target = { host, port: port || (secure ? 443 : 80), localAddress, socketPath };
      settle(running, dial(running, target, tls), timeout, callback);
    } catch (error) {
      callback(error as Error, null);
    }
  };
}

/** Calls back once the duplex is connected, has failed, or took too long. */
function settle(
  loop: Loop,
  duplex: TransportDuplex,
  seconds: number | null,
  callback: (...args: [null, Socket] | [Error, null]) => void,
): void {
  const expire = (): void => {
    duplex.destroy(new TimeoutError(`the connection was not made within ${seconds} s`));
  };
  const timer = seconds === null ? null : loop.callLater(seconds, expire);
  const end = (): void => {
    timer?.cancel();
    duplex.off('connect', connected).off('error', failed);
  };
  const connected = (): void => {
    end();
    callback(null, duplex as unknown as Socket);
  };
  const failed = (error: Error): void => {
    end();
    callback(error, null);
  };
  duplex.once('connect', connected).once('error', failed);
}
