/**
 * Uses up its descriptors, tries to start children, gives them back, and tries again. Prints what came of it.
 */
import { closeSync } from 'node:fs';
import { NodeEventLoop, PIPE, STDOUT } from '../../src/index.ts';
import { takeAllDescriptors } from '../helpers/exhaust.ts';
import { eventually, openDescriptors, runShell } from './children.ts';

const loop = new NodeEventLoop();
await loop.runUntilComplete(async () => {
  // What Node opens for the first child stays.
  await runShell(loop, 'true');
  const before = openDescriptors();
  const taken = await takeAllDescriptors();
  const codes = new Set<unknown>();
  // With few left, it fails at one of its steps, each time another one.
  for (let free = 0; free < 20; free++) {
    for (const stderr of [PIPE, STDOUT]) {
      const starting = loop.subprocessExec(() => ({}), 'true', [], { stderr });
      const failure: unknown = await starting.then(
        async ([transport]) => {
          await transport[Symbol.asyncDispose]();
          return null;
        },
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      if (failure !== null) codes.add(failure);
    }
    closeSync(taken.pop() as number);
  }
  for (const fd of taken) closeSync(fd);
  const again = (await runShell(loop, 'echo works', { stderr: STDOUT })).text(1);
  // What Node had open for a moment before may be closed by now.
  await eventually(() => openDescriptors() <= before);
  console.log(JSON.stringify({ codes: [...codes], again }));
});
loop.close();
