/** Starts the program of a peer. workload.ts has the peers' names. */
import { join } from 'node:path';
import type { Runtimes } from './runtimes.ts';
import type { Workload } from './workload.ts';

export interface Command {
  file: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

/** The runtimes: the part of a peer's name before the variant. */
interface Runner {
  folder: string;
  runtime: 'node' | 'bun' | 'libuv' | 'asyncio' | 'uvloop';
  backend?: 'uv' | 'node';
}

/** A name that begins with another one comes first. */
const RUNNERS: readonly (readonly [name: string, Runner])[] = [
  ['gyre-uv', { folder: 'gyre', runtime: 'node', backend: 'uv' }],
  ['gyre-node', { folder: 'gyre', runtime: 'node', backend: 'node' }],
  ['gyre', { folder: 'gyre', runtime: 'node' }],
  ['node', { folder: 'node', runtime: 'node' }],
  ['bun-node', { folder: 'node', runtime: 'bun' }],
  ['bun', { folder: 'bun', runtime: 'bun' }],
  ['libuv', { folder: 'libuv', runtime: 'libuv' }],
  ['asyncio', { folder: 'asyncio', runtime: 'asyncio' }],
  ['uvloop', { folder: 'asyncio', runtime: 'uvloop' }],
];

export function canRun(peer: string, runtimes: Runtimes): boolean {
  return fileOf(runnerOf(peer), runtimes) !== null;
}

/**
 * @param args for the program
 * @throws RangeError when the peer cannot be run here: see {@link canRun}
 */
export function commandOf(
  workload: Workload,
  peer: string,
  args: readonly string[],
  runtimes: Runtimes,
): Command {
  const runner = runnerOf(peer);
  const { name, folder, runtime, backend } = runner;
  const program = `${workload.program}${peer.slice(name.length)}`;
  const script = join(import.meta.dirname, folder, `${program}.js`);
  const env = backend === undefined ? {} : { GYRE_BACKEND: backend };
  const file = fileOf(runner, runtimes);
  if (file === null) throw new RangeError(`${peer} cannot be run here`);
  switch (runtime) {
    case 'node':
      // Garbage does not count as memory: each gyre server collects on request.
      return { file, args: [...(workload.kind === 'idle' ? ['--expose-gc'] : []), script, ...args], env };
    case 'bun':
      return { file, args: ['run', '--no-install', script, ...args], env };
    case 'libuv':
      return { file: join(file, program), args, env };
    default: {
      const python = join(import.meta.dirname, '..', '..', folder, `${program}.py`);
      // -B: compiled files would be left in the source tree
      return { file, args: ['-B', python, runtime, ...args], env };
    }
  }
}

/** Returns the interpreter, or the folder of the programs; null if there is none. */
function fileOf({ runtime, backend }: Runner, runtimes: Runtimes): string | null {
  return backend === 'uv' && !runtimes.native ? null : runtimes[runtime];
}

function runnerOf(peer: string): Runner & { name: string } {
  const found = RUNNERS.find(([name]) => peer === name || peer.startsWith(`${name}-`));
  if (found === undefined) throw new RangeError(`no peer is called ${peer}`);
  const [name, runner] = found;
  return { name, ...runner };
}
