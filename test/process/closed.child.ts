/**
 * Starts children after it has closed its own standard streams and removed its working directory: `node
 * closed.child.ts directory`. Reports to descriptor 3.
 */
import { closeSync, rmdirSync, writeSync } from 'node:fs';
import type { SubprocessOptions, Transport } from '../../src/index.ts';
import { DEVNULL, PIPE, STDOUT } from '../../src/index.ts';
import { makeLoop } from '../helpers/pairs.ts';
import { ChildRecorder, openDescriptors, startShell, stdinOf } from './children.ts';

const REPORT = 3;
const loop = makeLoop();

async function converse(command: string, options: SubprocessOptions): Promise<unknown[]> {
  const recorder = await startShell(loop, command, options);
  if (options.stdin === undefined) {
    stdinOf(recorder).write('word\n');
    stdinOf(recorder).writeEof();
  }
  await recorder.untilTold('lost');
  return [recorder.text(1), recorder.text(2), recorder.transport.getReturncode()];
}

const reports: unknown[] = [];
await loop.runUntilComplete(async () => {
  // The descriptors that Node opens for the first child stay open.
  await converse('true', {});
  const directory = process.argv[2] as string;
  process.chdir(directory);
  rmdirSync(directory);
  for (const fd of [0, 1, 2]) closeSync(fd);
  const before = openDescriptors();
  // This directory does not exist any more.
  const [cat, recorder] = await loop.subprocessExec(() => new ChildRecorder(), 'cat', [], { stdout: PIPE });
  (cat.getPipeTransport(0) as Transport).write('word');
  (cat.getPipeTransport(0) as Transport).writeEof();
  await recorder.untilTold('lost');
  reports.push(recorder.text(1));
  const cwd = '/';
  const command = 'read word; echo "out $word"; echo "err $word" >&2';
  reports.push(await converse(command, { cwd }));
  reports.push(await converse(command, { cwd, stderr: STDOUT }));
  const links = 'readlink /proc/$$/fd/0 /proc/$$/fd/2';
  reports.push(await converse(links, { cwd, stdin: 'inherit', stderr: 'inherit' }));
  reports.push(await converse(links, { cwd, stdin: DEVNULL, stderr: DEVNULL }));
  reports.push(openDescriptors() - before);
});
loop.close();
writeSync(REPORT, JSON.stringify(reports));
