/** The types that the tests need of packages without types. */

declare module 'ws' {
  import type { EventEmitter } from 'node:events';
  import type { ClientRequestArgs, IncomingMessage, Server } from 'node:http';
  import type { Duplex } from 'node:stream';

  export class WebSocket extends EventEmitter {
    constructor(address: string, options?: ClientRequestArgs & { perMessageDeflate?: boolean });
    readonly readyState: number;
    readonly bufferedAmount: number;
    send(data: string | Uint8Array, done?: (error?: Error) => void): void;
    ping(data?: string): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
  }
  export class WebSocketServer extends EventEmitter {
    constructor(options: ({ noServer: true } | { server: Server }) & { perMessageDeflate?: boolean });
    readonly clients: Set<WebSocket>;
    handleUpgrade(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      done: (client: WebSocket, request: IncomingMessage) => void,
    ): void;
    close(): void;
  }
}

declare module 'pg' {
  import type { EventEmitter } from 'node:events';
  import type { Duplex } from 'node:stream';

  export interface ClientConfig {
    user?: string;
    database?: string;
    host?: string;
    port?: number;
    ssl?: unknown;
    keepAlive?: boolean;
    /** Makes the socket; the client then calls `connect()` on it. */
    stream?: () => Duplex;
  }
  export interface Result {
    rows: Record<string, unknown>[];
    rowCount: number | null;
  }
  export class Client extends EventEmitter {
    constructor(config: ClientConfig);
    connect(): Promise<void>;
    query(text: string, values?: unknown[]): Promise<Result>;
    end(): Promise<void>;
  }
  export class Pool extends EventEmitter {
    constructor(config: ClientConfig & { max?: number });
    readonly totalCount: number;
    query(text: string, values?: unknown[]): Promise<Result>;
    end(): Promise<void>;
  }
  const pg: { Client: typeof Client; Pool: typeof Pool };
  // biome-ignore lint/style/noDefaultExport: it is what the package has.
  export default pg;
}
