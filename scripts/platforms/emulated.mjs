// Runs a runtime of another processor under QEMU, with the native part that a cross compiler has built for
// it.

import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, whyNotNative } from '../build-native.mjs';

const EMULATOR = 'qemu-aarch64';
/** The C library of Debian's cross compiler. */
const LIBRARIES = '/usr/aarch64-linux-gnu';
const TARGET = 'linux-arm64';

/** @returns {string | null} why nothing can be emulated here */
export function whyNotEmulated() {
  if (process.arch === 'arm64') return 'this machine needs no emulator for arm64';
  if (spawnSync(EMULATOR, ['--version']).status !== 0) return `there is no emulator (${EMULATOR})`;
  return whyNotNative(TARGET);
}

/**
 * Makes a program that starts a runtime under the emulator.
 *
 * @param {string} command the runtime's program
 * @returns {{ command: string, env: Record<string, string> }}
 */
export function emulated(command) {
  const starter = path.join(path.dirname(command), 'emulated');
  writeFileSync(starter, `#!/bin/sh\nexec ${EMULATOR} -L ${LIBRARIES} '${command}' "$@"\n`);
  chmodSync(starter, 0o755);
  const preload = fileURLToPath(new URL('emulated-path.cjs', import.meta.url));
  return {
    command: starter,
    env: {
      GYRE_NATIVE: buildNative('release', TARGET),
      GYRE_EMULATED: starter,
      NODE_OPTIONS: `--require ${preload}`,
    },
  };
}
