/** Has few descriptors, and then no rights: prints how opening an endpoint fails. */
import { closeSync, openSync } from 'node:fs';
import { AF_INET, NodeEventLoop } from '../../../src/index.ts';
import { endAll, endpoint } from '../../helpers/datagrams.ts';

const loop = new NodeEventLoop();

async function outcome(options: Parameters<typeof endpoint>[1]): Promise<string | undefined> {
  try {
    await endAll(await endpoint(loop, options));
    return 'opened';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

const result = await loop.runUntilComplete(async () => {
  // Modules that load at first use need a descriptor.
  await outcome({ family: AF_INET });
  const files: number[] = [];
  try {
    for (;;) files.push(openSync('/dev/null', 'r'));
  } catch {
    // Uses up all descriptors.
  }
  const exhausted = await outcome({ family: AF_INET });
  for (const file of files) closeSync(file);
  const afterwards = await outcome({ family: AF_INET });
  if (process.getuid?.() === 0) process.setuid?.(65_534);
  const reserved = await outcome({ localAddr: ['127.0.0.1', 7] });
  return { exhausted, afterwards, reserved };
});
loop.close();
console.log(JSON.stringify(result));
