/** Bytes through a child. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { measureTransfers } from '../pipes.ts';

await measureTransfers(async (message, writes, onData) => {
  const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  child.stdout.on('data', onData);
  for (let i = 0; i < writes; i++) {
    if (!child.stdin.write(message)) await once(child.stdin, 'drain');
  }
  child.stdin.end();
  const [code] = await closed;
  if (code !== 0) throw new Error(`cat ended with ${code}`);
});
