/** Children that do nothing. */
import { measureSpawns } from '../spawns.ts';

const QUIET = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const;

await measureSpawns(
  () => Bun.spawn(['true'], QUIET).exited,
  (workers) => Promise.all(workers.map((worker) => worker())),
);
