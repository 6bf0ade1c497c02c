/** How the program of a peer is started on this machine. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Workload } from './list.ts';

export interface Command {
  file: string;
  args: readonly string[];
}

/** What can be run here, and the sentences that say what cannot. */
export interface Runtimes {
  node: string;
  nodeVersion: string;
  /** A Python for each loop; null where there is none. */
  asyncio: string | null;
  uvloop: string | null;
  missing: readonly string[];
}

/**
 * A Python with uvloop is preferred for both loops, so that they are compared on the same interpreter: the system's
 * (Debian's `python3-uvloop`), then whichever comes first on the PATH.
 */
export function findRuntimes(node: string, pythonAsked: string | undefined): Runtimes {
  const nodeVersion = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  const pythons = (pythonAsked === undefined ? ['/usr/bin/python3', 'python3'] : [pythonAsked])
    .map(realPython)
    .filter((python) => python !== null);
  const uvloop = pythons.find(hasUvloop) ?? null;
  const asyncio = uvloop ?? pythons[0] ?? null;
  const missing: string[] = [];
  if (asyncio === null) missing.push('asyncio and uvloop are not measured: there is no python3.');
  else if (uvloop === null)
    missing.push('uvloop is not measured: python3 does not have it (on Debian, install python3-uvloop).');
  return { node, nodeVersion, asyncio, uvloop, missing };
}

/** Null when the peer cannot be run here. */
export function commandOf(workload: Workload, peer: string, runtimes: Runtimes): Command | null {
  const operations = workload.kind === 'process' ? [String(workload.operations)] : [];
  if (peer === 'asyncio' || peer === 'uvloop') {
    const python = runtimes[peer];
    if (python === null) return null;
    const program = join(import.meta.dirname, '..', '..', 'asyncio', `${workload.program}.py`);
    // -B: compiled files would be left in the source tree
    return { file: python, args: ['-B', program, peer, ...operations] };
  }
  const [folder, ...variant] = peer.split('-') as [string, ...string[]];
  const program = join(import.meta.dirname, folder, `${[workload.program, ...variant].join('-')}.js`);
  return { file: runtimes.node, args: [program, ...operations] };
}

/** The interpreter behind a name or a version manager's launcher, whose own start would count as the program's. */
function realPython(name: string): string | null {
  return tryOutput(name, ['-c', 'import sys; assert sys.version_info >= (3, 8); print(sys.executable)']);
}

function hasUvloop(python: string): boolean {
  return tryOutput(python, ['-c', 'import uvloop; print(uvloop.__version__)']) !== null;
}

function tryOutput(file: string, args: readonly string[]): string | null {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
