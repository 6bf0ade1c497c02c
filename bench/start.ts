/**
 * Measures what an `import` costs: the time from the start of a process to its end, and the resident memory
 * at its end. Each program imports something and then `resident.ts`.
 */
import { execFileSync } from 'node:child_process';
import type { Figures } from './measure.ts';
import { median } from './measure.ts';
import type { Command } from './peers.ts';

const WARM_UPS = 2;
const RUNS = 20;

/** Node's public modules that `import 'gyre'` loads; run where 'gyre' is the package that was built. */
const PROBE = `
  import { writeSync } from 'node:fs';
  import { builtinModules } from 'node:module';
  const names = () => process.moduleLoadList.map((name) => name.replace(/^NativeModule /, ''));
  const before = new Set(names());
  await import('gyre');
  const loaded = names().filter((name) => builtinModules.includes(name) && !before.has(name));
  writeSync(1, JSON.stringify(loaded.filter((name) => !name.startsWith('_'))));`;

export function modulesOfGyre(node: string): string[] {
  const options = { encoding: 'utf8', cwd: import.meta.dirname } as const;
  return JSON.parse(execFileSync(node, ['--input-type=module', '--eval', PROBE], options)) as string[];
}

export function measureStart({ file, args, env }: Command, value: 'ms' | 'MiB'): Figures {
  const milliseconds: number[] = [];
  const mebibytes: number[] = [];
  for (let i = 0; i < WARM_UPS + RUNS; i++) {
    const begin = performance.now();
    const output = execFileSync(file, args, { encoding: 'utf8', env: { ...process.env, ...env } });
    const end = performance.now();
    if (i < WARM_UPS) continue;
    milliseconds.push(end - begin);
    mebibytes.push(Number(output) / 2 ** 20);
  }
  const details = { ms: median(milliseconds), MiB: median(mebibytes) };
  return { value: details[value], details };
}
