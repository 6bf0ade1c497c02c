/**
 * Line echo with lines cut by hand as the data comes, with one write a line: what people write once
 * `readline` is too slow.
 */
import { ignoreReset, serve } from './serve.ts';

serve((socket) => {
  let rest = '';
  socket.on('error', ignoreReset);
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) socket.write(`${line}\n`);
  });
});
