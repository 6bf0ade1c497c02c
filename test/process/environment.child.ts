/**
 * Prints the inherited variables as its children see them, and then once more with two variables that it has
 * set.
 */
import { UvEventLoop } from '../../src/index.ts';
import { runShell } from './children.ts';

const loop = new UvEventLoop();
await loop.runUntilComplete(async () => {
  const print = async (env?: Record<string, string | undefined>): Promise<void> => {
    const command = 'env | grep -a ^RAW_ | LC_ALL=C sort';
    const recorder = await runShell(loop, command, env === undefined ? {} : { env });
    process.stdout.write(Buffer.concat(recorder.chunks[1]));
  };
  await print();
  process.env.RAW_new = 'ä';
  await print({ ...process.env, RAW_0: 'set' });
});
loop.close();
