/**
 * Prints, as its children see them, the variables that it was given, and then once more with two that it has
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
