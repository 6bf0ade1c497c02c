import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder, without a trailing slash. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '');

/**
 * @param {string} file
 * @returns {Record<string, { version: string, optional?: boolean }> | null} null when there is no such file
 */
function lockedPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return null;
  }
}

/**
 * By content and not by date: a checkout gives package-lock.json a new date, and `npm ci` empties
 * `node_modules` under whoever is running something from it.
 *
 * @param {string} folder
 * @returns {boolean} whether what `package-lock.json` asks for is installed
 */
function isInstalled(folder) {
  const wanted = lockedPackages(path.join(folder, 'package-lock.json')) ?? {};
  // npm writes this file last, so an interrupted installation is seen as missing.
  const installed = lockedPackages(path.join(folder, 'node_modules', '.package-lock.json'));
  if (installed === null) return false;
  return Object.entries(wanted).every(([name, { version, optional }]) => {
    if (name === '') return true;
    const there = installed[name];
    // Builds for other platforms are optional, and are not installed.
    return there === undefined ? optional === true : there.version === version;
  });
}

/**
 * The command line that starts npm. Inside `npm run` it is the very npm that runs, also where no `npm` is on
 * the path.
 *
 * @returns {[command: string, ...args: string[]]}
 */
export function npmCommand() {
  const running = process.env.npm_execpath;
  if (running !== undefined && /\.[cm]?js$/.test(running)) return [process.execPath, running];
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

/**
 * Installs the development dependencies when they are missing or not those of `package-lock.json`, so that a
 * fresh clone needs no step before `npm start` and `npm test`. Exits the process when npm fails.
 *
 * @param {string} [folder] whose `package.json`, relative to the root
 * @returns {void}
 */
export function ensureDependencies(folder = '.') {
  const directory = path.join(root, folder);
  if (isInstalled(directory)) return;
  // npm ci would follow the link and empty a folder that belongs to another checkout.
  if (lstatSync(path.join(directory, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    process.stderr.write('node_modules is a link and does not fit package-lock.json: left as it is.\n');
    return;
  }
  const began = performance.now();
  process.stderr.write('Installing the development dependencies (npm ci) ... ');
  const [command, ...args] = npmCommand();
  const done = spawnSync(
    command,
    [...args, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32' && args.length === 0,
    },
  );
  if (done.status !== 0) {
    process.stderr.write(`failed\n${done.stdout ?? ''}${done.stderr ?? ''}${done.error ?? ''}\n`);
    process.exit(1);
  }
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}
