/**
 * `write()` of Bun's sockets takes what the kernel takes, and leaves the rest to the caller: it is kept here
 * until the socket drains.
 */
export class Unsent {
  #rest: Buffer[] = [];

  write(socket: Bun.Socket<Unsent>, data: Buffer): void {
    if (this.#rest.length > 0) {
      this.#rest.push(Buffer.from(data));
      return;
    }
    const written = socket.write(data);
    if (written < 0 || written === data.length) return;
    this.#rest.push(Buffer.from(data.subarray(written)));
  }

  drain(socket: Bun.Socket<Unsent>): void {
    const rest = this.#rest;
    this.#rest = [];
    for (const data of rest) this.write(socket, data);
  }
}
