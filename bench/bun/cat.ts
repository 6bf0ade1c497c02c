/** Bytes through a child. */
import { measureTransfers } from '../pipes.ts';

await measureTransfers(async (message, writes, onData) => {
  const child = Bun.spawn(['cat'], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
  const feed = async (): Promise<void> => {
    for (let i = 0; i < writes; i++) {
      child.stdin.write(message);
      await child.stdin.flush();
    }
    await child.stdin.end();
  };
  const read = async (): Promise<void> => {
    for await (const data of child.stdout) onData(data);
  };
  await Promise.all([feed(), read()]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`cat ended with ${code}`);
});
