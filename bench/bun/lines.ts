/** Line echo by Bun's sockets, with one write a line. */
import { LineBuffer, lineEnd } from './line-buffer.ts';
import { serve } from './serve.ts';

serve<LineBuffer>({
  open(socket) {
    socket.data = new LineBuffer();
  },
  data(socket, data) {
    const lines = socket.data.take(data);
    for (let begin = 0; begin < lines.length; ) {
      const end = lineEnd(lines, begin);
      socket.data.write(socket, lines.subarray(begin, end));
      begin = end;
    }
  },
  drain(socket) {
    socket.data.drain(socket);
  },
});
