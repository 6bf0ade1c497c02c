/**
 * The part of Bun's own API that the programs of this folder use. Bun's package of types would redefine
 * Node's for the whole repository.
 */
declare namespace Bun {
  interface Socket<Data> {
    data: Data;
    /** How many bytes the kernel has taken; -1 when the connection is closed. */
    write(data: Uint8Array): number;
    end(): void;
  }

  interface SocketHandler<Data> {
    open?(socket: Socket<Data>): void;
    data?(socket: Socket<Data>, data: Buffer): void;
    drain?(socket: Socket<Data>): void;
    close?(socket: Socket<Data>): void;
    error?(socket: Socket<Data>, error: Error): void;
  }

  function listen<Data>(
    options: ({ hostname: string; port: number } | { unix: string }) & {
      tls?: { cert: string; key: string };
      socket: SocketHandler<Data>;
    },
  ): { port: number };

  interface UdpSocket {
    port: number;
    send(data: Uint8Array, port: number, address: string): boolean;
  }

  function udpSocket(options: {
    hostname: string;
    port: number;
    socket: { data(socket: UdpSocket, data: Buffer, port: number, address: string): void };
  }): Promise<UdpSocket>;

  interface Sink {
    write(data: Uint8Array): number | Promise<number>;
    flush(): number | Promise<number>;
    end(): number | Promise<number>;
  }

  interface Subprocess {
    readonly exited: Promise<number>;
    /** These two: with `pipe`. */
    readonly stdin: Sink;
    readonly stdout: AsyncIterable<Uint8Array>;
  }

  type Stdio = 'ignore' | 'inherit' | 'pipe';

  function spawn(
    command: readonly string[],
    options: { stdin: Stdio; stdout: Stdio; stderr: Stdio },
  ): Subprocess;

  function gc(synchronously: boolean): void;
}
