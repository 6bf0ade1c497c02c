/**
 * Answers `npx gyre` on a unix socket, for processes whose inspector is closed to it. A request is one line
 * of JSON, and so is its answer.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline';
import { isMainThread, threadId } from 'node:worker_threads';
import { InvalidStateError } from '../../base/errors.ts';
import { socketFolder, socketPath } from './socket-path.ts';

export interface InspectRequest {
  readonly method: string;
  readonly argument?: object;
}

export type InspectAnswer = { readonly values: unknown[] } | { readonly error: string };

/** The methods of one copy of gyre in this thread (loops.ts). */
type Copy = Record<string, ((argument?: object) => unknown) | undefined>;

/** Listens until the process ends. The socket keeps no program alive. */
export function listenForInspection(): void {
  makeFolder(socketFolder());
  const file = socketPath(process.pid, isMainThread ? 0 : threadId);
  rmSync(file, { force: true }); // of an earlier process with this id
  const server = createServer({ allowHalfOpen: true }, answerLines);
  server.on('error', (error) => {
    process.emitWarning(`gyre/inspect can't listen on ${file}: ${error.message}`);
  });
  server.listen(file, () => chmodSync(file, 0o600));
  server.unref();
  process.once('exit', () => rmSync(file, { force: true }));
}

/** Makes the folder, or checks that only this user can enter it: anybody may write in the folder above it. */
function makeFolder(folder: string): void {
  mkdirSync(folder, { mode: 0o700, recursive: true });
  const { uid, mode } = lstatSync(folder);
  if (uid === userInfo().uid && (mode & 0o77) === 0 && lstatSync(folder).isDirectory()) return;
  throw new InvalidStateError(
    `${folder} is not a folder of this user alone, so gyre/inspect can't put its socket there: remove it`,
  );
}

function answerLines(connection: Socket): void {
  connection.unref();
  connection.on('error', () => {}); // the other side has gone
  const lines = createInterface({ input: connection });
  lines.on('line', (line) => connection.write(`${JSON.stringify(answer(line))}\n`));
  lines.on('close', () => connection.end());
}

function answer(line: string): InspectAnswer {
  try {
    const { method, argument } = JSON.parse(line) as InspectRequest;
    const copies = (globalThis as Record<symbol, unknown>)[Symbol.for('gyre.inspect')] as Copy[] | undefined;
    return { values: (copies ?? []).flatMap((copy) => copy[method]?.(argument) ?? []) };
  } catch (error) {
    return { error: String(error) };
  }
}
