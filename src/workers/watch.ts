/** Finds changed files, for `watch`. */
import type { FSWatcher } from 'node:fs';
import { statSync, watch } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BaseEventLoop } from '../event-loop.ts';
import type { TimerHandle } from '../loop/handle.ts';

/** An editor writes a file in several steps, and a version control system many files. */
const QUIET_SECONDS = 0.1;
/** Files that are no part of a program: those of packages, hidden ones, backups. */
const IGNORED = /(^|[\\/])(node_modules[\\/]|\.)|~$/;

/**
 * Watches files and folders, with the folders in them.
 *
 * @param what true: the folder of the module
 * @param onChange called as code of the loop, once for changes that follow each other closely
 * @returns a function that ends the watch
 * @throws the system's error: `ENOENT`, `ENOSPC`
 */
export function watchFiles(
  loop: BaseEventLoop,
  module: string,
  what: true | string | readonly string[],
  onChange: (file: string) => void,
): () => void {
  const paths = what === true ? [path.dirname(fileURLToPath(module))] : [what].flat();
  const watchers: FSWatcher[] = [];
  let timer: TimerHandle | null = null;
  const end = (): void => {
    timer?.cancel();
    for (const watcher of watchers) watcher.close();
  };
  const changed = (file: string): void => {
    if (IGNORED.test(file) || loop.isClosed()) return;
    loop.callSoonThreadsafe(() => {
      timer?.cancel();
      timer = loop.callLater(QUIET_SECONDS, () => onChange(file));
    });
  };
  try {
    for (const each of paths) {
      const isFolder = statSync(each).isDirectory();
      const watcher = watch(each, { recursive: isFolder }, (_event, name) => {
        changed(isFolder && name !== null ? name : path.basename(each));
      });
      // A folder that was removed: the others are still watched.
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    }
  } catch (error) {
    end();
    throw error;
  }
  return end;
}
