/**
 * A proxy that ends TLS: its clients use TLS, and the server behind it plain TCP. Neither side is read faster
 * than the other accepts data, and the end of one side ends the other.
 *
 *   $ node --import tsx examples/tls-proxy.ts cert.pem key.pem 8443 127.0.0.1:8080
 */
import { readFileSync } from 'node:fs';
import type { Task, Transport } from 'gyre';
import { CancelledError, getRunningLoop, Protocol, run } from 'gyre';

/** One side of a connection. It sends its data to the other side. */
class Side extends Protocol {
  /** The other side, once both are connected. */
  other: Side | null = null;
  transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.other?.transport.write(data);
  }

  override pauseWriting(): void {
    this.other?.transport.pauseReading();
  }

  override resumeWriting(): void {
    this.other?.transport.resumeReading();
  }

  /** Passes the end of one direction on if possible: TLS ends both directions at once. */
  override eofReceived(): boolean {
    const transport = this.other?.transport;
    if (transport === undefined || !transport.canWriteEof()) return false;
    transport.writeEof();
    return true;
  }

  override connectionLost(exception: Error | null): void {
    if (exception === null) this.other?.transport.close();
    else this.other?.transport.abort();
  }
}

/** The side of the server. It knows the client's side from connectionMade() on. */
class Back extends Side {
  constructor(front: Front) {
    super();
    this.other = front;
  }

  override connectionMade(transport: Transport): void {
    super.connectionMade(transport);
    (this.other as Side).other = this;
  }
}

/** A client's side. It reads nothing until the server is connected. */
class Front extends Side {
  readonly #host: string;
  readonly #port: number;
  #connecting: Task<void> | null = null;

  constructor(host: string, port: number) {
    super();
    this.#host = host;
    this.#port = port;
  }

  override connectionMade(transport: Transport): void {
    super.connectionMade(transport);
    transport.pauseReading();
    this.#connecting = getRunningLoop().createTask(() => this.#connect());
  }

  override connectionLost(exception: Error | null): void {
    this.#connecting?.cancel();
    super.connectionLost(exception);
  }

  async #connect(): Promise<void> {
    const { transport } = this;
    const client = transport.getExtraInfo('peername')?.[0];
    try {
      await getRunningLoop().createConnection(() => new Back(this), this.#host, this.#port);
      console.log(`${client}: ${transport.getExtraInfo('cipher')?.version}`);
      transport.resumeReading();
    } catch (error) {
      if (error instanceof CancelledError) throw error;
      console.log(`${client}: ${(error as Error).message}`);
      transport.abort();
    }
  }
}

async function main(
  certificate: string,
  key: string,
  port: number,
  host: string,
  backPort: number,
): Promise<void> {
  const ssl = { cert: readFileSync(certificate), key: readFileSync(key) };
  const server = await getRunningLoop().createServer(() => new Front(host, backPort), '127.0.0.1', port, {
    ssl,
  });
  console.log('proxy on', ...(server.sockets[0]?.getsockname() ?? []));
  await server.serveForever();
}

const [certificate, key, port, target = ''] = process.argv.slice(2);
const colon = target.lastIndexOf(':');
if (certificate === undefined || key === undefined || colon < 0) {
  console.error('tls-proxy.ts <certificate> <key> <port> <host>:<port>');
  process.exit(2);
}
await run(() =>
  main(certificate, key, Number(port), target.slice(0, colon), Number(target.slice(colon + 1))),
).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
  console.log('closed');
});
