/** The runtimes of this machine. */
import { execFileSync } from 'node:child_process';
import { compileLibuv } from './compile.ts';

export interface Runtimes {
  node: string;
  nodeVersion: string;
  /** Whether that Node has gyre's native backend. */
  native: boolean;
  /** A Python for each loop; null where there is none. */
  asyncio: string | null;
  uvloop: string | null;
  bun: string | null;
  /** The folder of the programs. */
  libuv: string | null;
  /** The sentences about peers that cannot run. */
  missing: readonly string[];
}

/** The options of the command line. */
export interface Asked {
  node: string;
  python?: string;
  bun?: string;
}

/** Looks only for the runtimes that the peers need. */
export function findRuntimes(asked: Asked, peers: readonly string[]): Runtimes {
  const wants = (name: string): boolean => peers.some((peer) => peer === name || peer.startsWith(`${name}-`));
  const nodeVersion = execFileSync(asked.node, ['--version'], { encoding: 'utf8' }).trim();
  const missing: string[] = [];

  let native = false;
  if (wants('gyre-uv')) {
    const reason = whyNotNative(asked.node);
    native = reason === null;
    if (reason !== null) missing.push(`gyre-uv is not measured: ${reason}.`);
  }
  const pythons = wants('asyncio') || wants('uvloop') ? findPythons(asked.python) : null;
  if (pythons !== null) missing.push(...pythons.missing);
  const libuv = wants('libuv') ? compileLibuv() : null;
  if (libuv?.path === null) missing.push(libuv.reason);
  const bun = wants('bun') && asked.bun !== undefined && output(asked.bun, ['--version']) ? asked.bun : null;
  if (wants('bun') && bun === null) {
    const reason = asked.bun === undefined ? 'it could not be fetched' : `${asked.bun} does not run`;
    missing.push(`bun is not measured: ${reason} (--bun names one).`);
  }
  return {
    node: asked.node,
    nodeVersion,
    native,
    asyncio: pythons?.asyncio ?? null,
    uvloop: pythons?.uvloop ?? null,
    bun,
    libuv: libuv?.path ?? null,
    missing,
  };
}

function whyNotNative(node: string): string | null {
  const program = `
    import { backendInfo } from 'gyre';
    try { backendInfo(); } catch ({ message }) { console.log(message); }`;
  const message = execFileSync(node, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    cwd: import.meta.dirname, // so that 'gyre' is the package that was built
    env: { ...process.env, GYRE_BACKEND: 'uv' },
  }).trim();
  return message === '' ? null : message;
}

/**
 * A Python with uvloop is preferred for both loops, so that they are compared on the same interpreter: the
 * system's (Debian's `python3-uvloop`), then whichever comes first on the PATH.
 */
function findPythons(asked: string | undefined): Pick<Runtimes, 'asyncio' | 'uvloop' | 'missing'> {
  const pythons = (asked === undefined ? ['/usr/bin/python3', 'python3'] : [asked])
    .map(realPython)
    .filter((python) => python !== null);
  const uvloop = pythons.find((python) => output(python, ['-c', 'import uvloop; print(1)'])) ?? null;
  const asyncio = uvloop ?? pythons[0] ?? null;
  const missing: string[] = [];
  if (asyncio === null) missing.push('asyncio and uvloop are not measured: there is no python3.');
  else if (uvloop === null)
    missing.push('uvloop is not measured: python3 does not have it (on Debian, install python3-uvloop).');
  return { asyncio, uvloop, missing };
}

/**
 * The interpreter behind a name or a version manager's launcher, whose own start would count as the
 * program's.
 */
function realPython(name: string): string | null {
  return output(name, ['-c', 'import sys; assert sys.version_info >= (3, 8); print(sys.executable)']);
}

function output(file: string, args: readonly string[]): string | null {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
