/**
 * Line echo by Bun's sockets, with one write for all the lines of a read. Each line is looked at, as by a
 * program that reads them.
 */
import { LineBuffer, lineEnd } from './line-buffer.ts';
import { serve } from './serve.ts';

serve<LineBuffer>({
  open(socket) {
    socket.data = new LineBuffer();
  },
  data(socket, data) {
    const lines = socket.data.take(data);
    let seen = 0;
    while (seen < lines.length) seen = lineEnd(lines, seen);
    if (seen > 0) socket.data.write(socket, lines);
  },
  drain(socket) {
    socket.data.drain(socket);
  },
});
