/** `Agent`: the connections of `http.request()` and `https.request()` as connections of the loop. */

import type { AgentOptions as NodeAgentOptions } from 'node:http';
import { Agent as NodeAgent } from 'node:http';
import type { AgentOptions as NodeHttpsAgentOptions } from 'node:https';
import { Agent as NodeHttpsAgent } from 'node:https';
import { checkBoolean, checkOptions, checkString, invalidArgType, outOfRange } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { TlsClientOptions } from '../net/tls/tls-options.ts';
import { isWanted } from '../net/tls/tls-options.ts';
import { loopFor } from './adapter.ts';
import type { DialOptions } from './dial.ts';
import { dial } from './dial.ts';
import { checkSsl, tlsOf } from './tls-of-request.ts';
import type { TransportDuplex } from './transport-duplex.ts';

/** The options of `Agent`. Those of `http.Agent` mean the same as there: milliseconds, not seconds. */
export interface AgentOptions
  extends Pick<
    NodeAgentOptions,
    | 'keepAlive'
    | 'keepAliveMsecs'
    | 'maxSockets'
    | 'maxTotalSockets'
    | 'maxFreeSockets'
    | 'scheduling'
    | 'timeout'
    | 'family'
    | 'hints'
    | 'localAddress'
    | 'localPort'
    | 'lookup'
    | 'noDelay'
  > {
  /**
   * TLS: true for the system's default trust, `tls.ConnectionOptions`, or a `tls.SecureContext`. An agent for
   * `https` needs it.
   */
  ssl?: unknown;
  /** Seconds until a TLS handshake times out. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's close_notify before a connection is aborted. Default: 30. */
  sslShutdownTimeout?: number;
  /** The path of a unix socket, to which all requests go. */
  socketPath?: string;
  /** The loop of the connections. Default: the running loop, at each connection. */
  loop?: Loop;
}

const NUMBERS = ['maxSockets', 'maxTotalSockets', 'maxFreeSockets', 'keepAliveMsecs', 'timeout'] as const;
const OPTIONS = [
  'keepAlive',
  'scheduling',
  'family',
  'hints',
  'localAddress',
  'localPort',
  'lookup',
  'noDelay',
  'ssl',
  'sslHandshakeTimeout',
  'sslShutdownTimeout',
  'socketPath',
  'loop',
  ...NUMBERS,
];

/**
 * An `http.Agent` whose sockets are connections of the loop. Use it for `http`, axios, got, node-fetch and
 * every other client that takes an agent. With the option `ssl` it is an agent for `https`.
 *
 * - Keep-alive, `maxSockets`, `timeout`, upgrades and the end of a request work as with Node's own agent,
 *   because the pool is Node's own.
 * - TLS runs in gyre, with the protocol `http/1.1` in ALPN. TLS options of a request (`ca`,
 *   `rejectUnauthorized`) are used, too; those of `ssl` win.
 * - A request fails with `ERR_NO_RUNNING_LOOP` outside of a loop, and with `ERR_LOOP_CLOSED` if the agent's
 *   loop is closed. Use an agent with one loop at a time.
 * - `destroy()` closes the free and the used connections. `await using agent = new Agent()` also waits until
 *   they are closed.
 *
 * @example
 * ```ts
 * import { run } from 'gyre';
 * import { Agent, serve } from 'gyre/node';
 * import { get } from 'node:http';
 * import type { IncomingMessage } from 'node:http';
 * import { text } from 'node:stream/consumers';
 *
 * await run(async () => {
 *   await using server = await serve((_request, response) => response.end('hello'), { port: 0 });
 *   await using agent = new Agent({ keepAlive: true });
 *   const response = await new Promise<IncomingMessage>((resolve) => get(server.url, { agent }, resolve));
 *   console.log(await text(response)); // hello
 * });
 * ```
 */
export class Agent extends NodeAgent implements AsyncDisposable {
  /** `http:`, or `https:` with the option `ssl`. Clients compare it with the URL. */
  readonly protocol: 'http:' | 'https:';
  /** The port of a URL without a port. */
  readonly defaultPort: 80 | 443;
  /** The options of the pool. Node sets them; TypeScript asks for them where an `https.Agent` is expected. */
  declare readonly options: NodeHttpsAgentOptions;
  readonly #loop: Loop | undefined;
  readonly #tls: TlsClientOptions;
  readonly #open: Set<TransportDuplex> = new Set();

  /**
   * @param options those of `http.Agent`, in milliseconds; `ssl`, `socketPath`, `loop`
   * @throws TypeError, RangeError; LoopError `ERR_LOOP_CLOSED`
   */
  constructor(options: AgentOptions = {}) {
    checkAgentOptions(options);
    const { ssl, sslHandshakeTimeout, sslShutdownTimeout, loop, ...pool } = options;
    super(pool as NodeAgentOptions);
    this.#loop = loop === undefined ? undefined : loopFor(loop);
    const secure = isWanted(ssl);
    this.#tls = {
      ...(secure ? { ssl } : {}),
      ...(sslHandshakeTimeout === undefined ? {} : { sslHandshakeTimeout }),
      ...(sslShutdownTimeout === undefined ? {} : { sslShutdownTimeout }),
    };
    this.protocol = secure ? 'https:' : 'http:';
    this.defaultPort = secure ? 443 : 80;
  }

  /** Connects. A failure goes to the request, and not to the code that happens to ask the pool. @internal */
  override createConnection(
    options: object,
    callback?: (error: Error | null, socket: never) => void,
  ): TransportDuplex {
    try {
      const duplex = dial(loopFor(this.#loop), options as DialOptions, this.#tlsFor(options));
      this.#open.add(duplex);
      duplex.once('close', () => this.#open.delete(duplex));
      return duplex;
    } catch (error) {
      if (callback === undefined) throw error;
      callback(error as Error, undefined as never);
      return undefined as never;
    }
  }

  #tlsFor(options: { servername?: string; host?: string }): TlsClientOptions {
    if (this.#tls.ssl === undefined) return this.#tls;
    // Node leaves the name empty if the host is an address. An empty name of gyre would accept any.
    const serverHostname = options.servername || options.host;
    return {
      ...this.#tls,
      ssl: tlsOf(this.#tls.ssl, options, ['http/1.1']),
      ...(serverHostname === undefined ? {} : { serverHostname }),
    };
  }

  /** Returns the key of the pool for these options, as Node does. @internal */
  override getName(options?: object): string {
    const owner = this.protocol === 'https:' ? NodeHttpsAgent.prototype : NodeAgent.prototype;
    return owner.getName.call(this as never, options as never);
  }

  /** Destroys the agent, and waits until its connections are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await Promise.all(
      [...this.#open].map((duplex) => new Promise((resolve) => void duplex.once('close', resolve))),
    );
  }
}

function checkAgentOptions(options: AgentOptions): void {
  checkOptions('options', options, OPTIONS);
  for (const name of ['keepAlive', 'noDelay'] as const) {
    if (options[name] !== undefined) checkBoolean(`options.${name}`, options[name]);
  }
  for (const name of NUMBERS) {
    const value: unknown = options[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw invalidArgType(`options.${name}`, value, 'a number');
    if (!(value >= 0)) throw outOfRange(`options.${name}`, value, 'at least 0');
  }
  if (options.socketPath !== undefined) checkString('options.socketPath', options.socketPath);
  if (isWanted(options.ssl)) checkSsl(options.ssl);
}
