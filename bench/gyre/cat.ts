/** Bytes through a child, by streams. */
import { createSubprocessExec, PIPE, run, taskGroup } from 'gyre';
import { measureTransfers } from '../pipes.ts';

await run(() =>
  measureTransfers(async (message, writes, onData) => {
    const child = await createSubprocessExec('cat', [], { stdin: PIPE, stdout: PIPE });
    const stdin = child.stdin!;
    const stdout = child.stdout!;
    await taskGroup(async (group) => {
      group.createTask(async () => {
        for (let i = 0; i < writes; i++) {
          stdin.write(message);
          await stdin.drain();
        }
        stdin.close();
      });
      for (let data = await stdout.read(65_536); data.length > 0; data = await stdout.read(65_536)) {
        onData(data);
      }
    });
    const code = await child.wait();
    if (code !== 0) throw new Error(`cat ended with ${code}`);
  }),
);
