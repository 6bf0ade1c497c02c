/** Programs in processes of their own, and commands of `gyre` that look into them. */
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/cli/main.ts';
import { run } from '../../src/index.ts';

// Node 20 has it behind a flag, with which the program `gyre` starts itself again.
globalThis.WebSocket ??= (await import('undici')).WebSocket as typeof globalThis.WebSocket;

/** The program that is stuck in one of several ways. */
export const stuckProgram: string = fileURLToPath(new URL('./stuck.child.ts', import.meta.url));

export interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Returns all that the program has written to stderr. */
  errors(): string;
}

/**
 * Starts the program, and waits until it says `ready`. Its inspector takes a free port, because tests run
 * side by side.
 */
export async function start(
  way: string,
  { flags = ['--inspect-port=0'], args = [] as string[] } = {},
): Promise<Program> {
  return await startProgram(flags, stuckProgram, way, ...args);
}

/** Starts a program, and waits for its first output. */
export async function startProgram(flags: string[], ...command: string[]): Promise<Program> {
  const child = spawn(process.execPath, [...process.execArgv.filter(isLoader), ...flags, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const failed = () => child.stdout.emit('error', new Error(`the program ended:\n${errors}`));
  child.once('exit', failed);
  await once(child.stdout, 'data');
  child.off('exit', failed);
  return {
    child,
    pid: child.pid ?? 0,
    errors: () => errors,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Keeps the option of the loader for TypeScript, and leaves out those of the test runner. */
function isLoader(argument: string, index: number, all: readonly string[]): boolean {
  return argument.startsWith('--import') || all[index - 1] === '--import';
}

/** Starts a command in a process of its own. */
export function startGyre(...args: string[]): ChildProcessByStdio<null, Readable, null> {
  // The command would start itself again with the flag, and only that process could be killed.
  const flags = process.version.startsWith('v20.') ? ['--experimental-websocket', '--no-warnings'] : [];
  const command = fileURLToPath(new URL('../../src/cli/gyre.ts', import.meta.url));
  return spawn(process.execPath, [...process.execArgv.filter(isLoader), ...flags, command, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Runs a command in this process. */
export async function gyre(...args: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const code = await run(() =>
    main(args, {
      write(more) {
        text += more;
      },
    }),
  );
  return { code, text };
}
