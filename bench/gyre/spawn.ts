/** Children that do nothing. */
import { createSubprocessExec, DEVNULL, run, taskGroup } from 'gyre';
import { measureSpawns } from '../spawns.ts';

const QUIET = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL } as const;

async function spawnOne(): Promise<number> {
  const child = await createSubprocessExec('true', [], QUIET);
  return child.wait();
}

await run(() =>
  measureSpawns(spawnOne, (workers) =>
    taskGroup(async (group) => {
      for (const worker of workers) group.createTask(worker);
    }),
  ),
);
