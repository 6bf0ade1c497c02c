/**
 * Uses up its descriptors, tries to start children, frees the descriptors, and tries again. Prints the
 * outcomes.
 */
import { closeSync } from 'node:fs';
import { NodeEventLoop, PIPE, STDOUT } from '../../src/index.ts';
import { takeAllDescriptors } from '../helpers/exhaust.ts';
import { eventually, openDescriptors, runShell } from './children.ts';

const loop = new NodeEventLoop();
await loop.runUntilComplete(async () => {
  // The descriptors that Node opens for the first child stay open.
  await runShell(loop, 'true');
  const before = openDescriptors();
  const taken = await takeAllDescriptors();
  const codes = new Set<unknown>();
  // With few descriptors left, the start fails at a different step each time.
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
  // Node may have closed its temporary descriptors by now.
  await eventually(() => openDescriptors() <= before);
  console.log(JSON.stringify({ codes: [...codes], again }));
});
loop.close();
