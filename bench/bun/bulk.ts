/** One way, by Bun's sockets: writes until the kernel takes no more. */
import { readRequest } from '../bulk-request.ts';
import { messageOf } from '../message.ts';
import { serve } from './serve.ts';

class Source {
  #message: Buffer = Buffer.alloc(0);
  /** Writes that are not done yet; of the first, bytes that are. */
  #left: number = 0;
  #offset: number = 0;

  begin(request: Buffer): void {
    const { writes, size } = readRequest(request);
    this.#message = messageOf(size);
    this.#left = writes;
  }

  send(socket: Bun.Socket<Source>): void {
    while (this.#left > 0) {
      const written = socket.write(this.#offset === 0 ? this.#message : this.#message.subarray(this.#offset));
      if (written < 0) return;
      this.#offset += written;
      if (this.#offset < this.#message.length) return;
      this.#offset = 0;
      this.#left -= 1;
    }
    socket.end();
  }
}

serve<Source>({
  open(socket) {
    socket.data = new Source();
  },
  data(socket, data) {
    socket.data.begin(data);
    socket.data.send(socket);
  },
  drain(socket) {
    socket.data.send(socket);
  },
});
