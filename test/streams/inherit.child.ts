/** Starts a child with the default stdin, stdout and stderr. */
import { createSubprocessShell, run } from '../../src/index.ts';

await run(async () => {
  const child = await createSubprocessShell('echo to stdout; echo to stderr >&2');
  process.exitCode = await child.wait();
});
