/**
 * A process supervisor: runs commands of the shell, prints their output, and restarts a command that exits,
 * after a pause that doubles each time. SIGTERM and SIGINT end everything: each command gets a SIGTERM, and
 * after the grace period a SIGKILL. SIGHUP is passed on to the commands.
 *
 *   $ node --import tsx examples/supervisor.ts --grace 5 'node web.js' 'node worker.js'
 */
import { parseArgs } from 'node:util';
import type { Process } from 'gyre';
import {
  createSubprocessShell,
  DEVNULL,
  getRunningLoop,
  PIPE,
  run,
  STDOUT,
  sleep,
  TimeoutError,
  taskGroup,
  waitFor,
} from 'gyre';

/** Seconds before the first restart, and the most before any. */
const FIRST_PAUSE = 0.1;
const LONGEST_PAUSE = 30;
/** Seconds. A command that ran for this long counts as started, and its next pause is the first one again. */
const STABLE_AFTER = 10;
/** Bytes. A command that prints a longer line is restarted. */
const LONGEST_LINE = 1024 * 1024;

/** One command, and the process that runs it now. */
class Service {
  readonly #name: string;
  readonly #command: string;
  readonly #grace: number;
  #child: Process | null = null;

  constructor(name: string, command: string, grace: number) {
    this.#name = name;
    this.#command = command;
    this.#grace = grace;
  }

  /** Runs the command again and again, until the task is cancelled. Then none of its processes is left. */
  async run(): Promise<void> {
    const loop = getRunningLoop();
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const started = loop.time();
      this.#say(await this.#runOnce());
      if (loop.time() - started >= STABLE_AFTER) pause = FIRST_PAUSE;
      this.#say(`starts again in ${pause} s`);
      await sleep(pause);
    }
  }

  forward(signal: NodeJS.Signals): void {
    const child = this.#child;
    if (child === null || child.returncode !== null) return;
    try {
      // The whole group: the shell, and the processes that it has started.
      process.kill(-child.pid, signal);
    } catch {
      // It has just exited.
    }
  }

  /** Runs the command once, and returns its end in words. */
  async #runOnce(): Promise<string> {
    try {
      const child = await createSubprocessShell(this.#command, {
        stdin: DEVNULL,
        stdout: PIPE,
        stderr: STDOUT,
        detached: true,
        limit: LONGEST_LINE,
      });
      this.#child = child;
      this.#say(`runs as ${child.pid}`);
      try {
        for await (const line of child.stdout!.lines()) this.#say(line.toString().trimEnd());
        return `ended with ${await child.wait()}`;
      } finally {
        await this.#end(child);
      }
    } catch (error) {
      // A cancel is no failure, and must be thrown again.
      if (error instanceof Error && error.name !== 'CancelledError') return `failed: ${error.message}`;
      throw error;
    }
  }

  /** Asks the group to end, waits, and then kills it. */
  async #end(child: Process): Promise<void> {
    this.forward('SIGTERM');
    try {
      await waitFor(child.wait(), this.#grace);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      this.#say('does not end: killed');
      this.forward('SIGKILL');
    }
    await child[Symbol.asyncDispose]();
    this.#child = null;
  }

  #say(text: string): void {
    for (const line of text.split('\n')) console.log(`[${this.#name}] ${line}`);
  }
}

/** Runs the commands until a signal comes. */
async function supervise(commands: readonly string[], grace: number): Promise<void> {
  const loop = getRunningLoop();
  const services = commands.map((command, i) => new Service(String(i + 1), command, grace));
  const ending = loop.createFuture<string>();
  for (const signal of ['SIGTERM', 'SIGINT']) {
    loop.addSignalHandler(signal, () => {
      if (!ending.done()) ending.setResult(signal);
    });
  }
  loop.addSignalHandler('SIGHUP', () => {
    for (const service of services) service.forward('SIGHUP');
  });
  await taskGroup(async (group) => {
    for (const service of services) group.createTask(() => service.run());
    console.log(`${await ending}: ends all`);
    group.cancel();
  });
  console.log('all ended');
}

const { values, positionals } = parseArgs({
  options: { grace: { type: 'string', default: '5' } },
  allowPositionals: true,
});
await run(() => supervise(positionals, Number(values.grace)));
