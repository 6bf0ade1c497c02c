/**
 * Writes in three turns to a connection, for one-system-call.test.ts to count the system calls: many small
 * strings, strings and bytes from several tasks, and an answer from a host callback.
 */
import { NodeEventLoop, sleep } from '../../../src/index.ts';
import { Recorder, recorders } from '../../helpers/pairs.ts';

const MARK = 'gyre-line';

const loop = new NodeEventLoop();
await loop.runUntilComplete(async () => {
  const { near, far } = await recorders(loop);
  let expected = 0;
  const line = (i: number): string => {
    const text = `${MARK} ${i}\n`;
    expected += text.length;
    return text;
  };

  for (let i = 0; i < 200; i++) near.transport.write(line(i));
  await far.untilReceived(expected);

  const tasks = Array.from({ length: 20 }, (_, i) =>
    loop.createTask(async () => {
      await sleep(0);
      near.transport.writelines([line(i), Buffer.from(line(i)), new Uint8Array(Buffer.from(line(i)))]);
      await null;
      near.transport.write(line(i));
    }),
  );
  for (const task of tasks) await task;
  await far.untilReceived(expected);

  const received = far.dataReceived;
  const answered = new Recorder();
  far.dataReceived = (data) => {
    received.call(far, data);
    for (let i = 0; i < 50; i++) far.transport.write(`${MARK} answer\n`);
  };
  near.transport.setProtocol(answered);
  near.transport.write('question');
  await answered.untilReceived(50 * `${MARK} answer\n`.length);

  near.transport.close();
  await far.untilLost();
  await answered.untilLost();
});
loop.close();
