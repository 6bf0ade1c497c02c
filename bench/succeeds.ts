import { execFileSync } from 'node:child_process';

/** Tells whether a program can be run here and ends with status 0. */
export function succeeds(file: string, args: readonly string[], input: string = ''): boolean {
  try {
    execFileSync(file, args, { input, stdio: ['pipe', 'ignore', 'ignore'] });
    return true;
  } catch {
    return false;
  }
}
