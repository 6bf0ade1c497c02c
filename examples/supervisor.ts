/**
 * A process supervisor: runs commands of the shell, passes on what they print, and starts one that ends
 * again, after a pause that doubles each time. SIGTERM and SIGINT end all of it: every command gets a
 * SIGTERM, and what is left after the grace period a SIGKILL. SIGHUP is passed on, to whoever makes something
 * of it.
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
/** Seconds. A command that ran for so long has come up: the next pause is the first one again. */
const STABLE_AFTER = 10;
/** Bytes. A line that grows longer than this is no line: its command is started anew. */
const LONGEST_LINE = 1024 * 1024;

/** One command, and whichever process runs it now. */
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

  /** Runs the command again and again, until the task is cancelled. Then nothing of it is left. */
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
      // The whole group: the shell, and what that has started.
      process.kill(-child.pid, signal);
    } catch {
      // It has ended in this moment.
    }
  }

  /** From start to end; answers in words what became of it. */
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
      // Being cancelled is no failure, and must go on.
      if (error instanceof Error && error.name !== 'CancelledError') return `failed: ${error.message}`;
      throw error;
    }
  }

  /** Asks, waits, and then does not ask. */
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
