/** Children that do nothing. */
import { spawn } from 'node:child_process';
import { measureSpawns } from '../spawns.ts';

function spawnOne(): Promise<number | null> {
  return new Promise((resolve, reject) => {
    spawn('true', { stdio: 'ignore' }).on('error', reject).on('exit', resolve);
  });
}

await measureSpawns(spawnOne, (workers) => Promise.all(workers.map((worker) => worker())));
