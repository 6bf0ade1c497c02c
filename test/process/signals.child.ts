/**
 * A program for tests of signals: `node signals.child.ts <scenario>`. A line that begins with `send` requests
 * that signal.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { NodeEventLoop } from '../../src/index.ts';

const loop = new NodeEventLoop();
const never = (): void => console.log('never');

/** gyre does not keep the process alive; this timer does, until a signal kills it. */
function stay(): void {
  // biome-ignore lint/style/noRestrictedGlobals: what a signal does to a process is the subject
  setTimeout(() => console.log('survived'), 10_000);
}

const scenarios: Record<string, () => unknown> = {
  /** Has a signal handler and nothing else, so the process ends. */
  'keeps nobody alive': async () => {
    loop.addSignalHandler('SIGTERM', never);
    await loop.runUntilComplete(async () => {});
    console.log('the end');
  },

  removed: () => {
    for (const signum of ['SIGTERM', 'SIGHUP', 'SIGINT']) loop.addSignalHandler(signum, never);
    for (const signum of ['SIGTERM', 'SIGHUP', 'SIGINT']) loop.removeSignalHandler(signum);
    stay();
    console.log(`send ${process.argv[3]}`);
  },

  closed: () => {
    loop.addSignalHandler('SIGTERM', never);
    loop.close();
    stay();
    console.log('send SIGTERM');
  },

  /** Another loop and a listener of the program get the signal, until each is removed. */
  'several, one by one': async () => {
    const other = new NodeEventLoop();
    const own = (): void => console.log('listener');
    process.on('SIGTERM', own);
    for (const [name, each] of Object.entries({ loop, other })) {
      each.addSignalHandler('SIGTERM', () => {
        console.log(name);
        each.stop();
      });
    }
    const bothRun = (): Promise<unknown> => Promise.all([loop.runForever(), other.runForever()]);
    console.log('send SIGTERM');
    await bothRun();
    loop.removeSignalHandler('SIGTERM');
    console.log('send SIGTERM');
    await other.runForever();
    process.off('SIGTERM', own);
    console.log('send SIGTERM');
    await other.runForever();
    other.removeSignalHandler('SIGTERM');
    stay();
    console.log('send SIGTERM');
  },

  /** Node ignores SIGPIPE from its start. A write to a broken pipe must still fail instead of killing. */
  'broken pipe': async () => {
    loop.addSignalHandler('SIGPIPE', () => {
      console.log('handler');
      loop.stop();
    });
    const reader = spawn('true', { stdio: ['pipe', 'ignore', 'inherit'] });
    reader.stdin.on('error', () => {});
    await new Promise((resolve) => reader.once('close', resolve));
    console.log('send SIGPIPE');
    await loop.runForever();
    loop.removeSignalHandler('SIGPIPE');
    breakPipe();
    console.log('send SIGPIPE');
    loop.callLater(0.2, () => loop.stop());
    await loop.runForever();
    console.log(`${process.listenerCount('SIGPIPE')} listener stays`);
    loop.addSignalHandler('SIGPIPE', () => {
      console.log('handler again');
      loop.stop();
    });
    console.log('send SIGPIPE');
    await loop.runForever();
    loop.close();
    breakPipe();
    console.log('the end');
  },

  /** A signal comes while the thread is blocked, and waits for the loop. */
  'while the thread is held': async () => {
    let held = true;
    loop.addSignalHandler('SIGTERM', () => {
      console.log(held ? 'in the middle' : 'handler');
      loop.stop();
    });
    loop.callSoon(() => {
      writeSync(1, 'send SIGTERM\n');
      const until = performance.now() + 300;
      while (performance.now() < until);
      held = false;
    });
    await loop.runForever();
    console.log('the end');
  },
};

/** Writes to a pipe without a reader, by a system call and not by libuv. */
function breakPipe(): void {
  const path = process.argv[3] as string;
  const reading = openSync(path, 'r+');
  const writing = openSync(path, 'w');
  closeSync(reading);
  try {
    writeSync(writing, 'x');
  } catch (error) {
    console.log((error as { code: string }).code);
  }
  closeSync(writing);
}

await (scenarios[process.argv[2] as string] as () => unknown)();
