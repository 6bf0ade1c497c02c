/** A worker that is a process. Its channel is that of `fork()`, which code in the process may use, too. */
import type { ChildProcess, Serializable } from 'node:child_process';
import { node } from '../platform/node-modules.ts';
import type { Answer, ProcessMessage } from './job-messages.ts';
import { contentOf, foreignMessageReporter } from './worker-channel.ts';
import { processEntry } from './worker-entry.ts';
import type { LinkEvents, WorkerLink } from './worker-link.ts';

export class ProcessLink implements WorkerLink {
  readonly states = null;
  readonly #events: LinkEvents;
  readonly #child: ChildProcess;
  readonly #foreign: (message: unknown) => void = foreignMessageReporter('a pool');
  #exited: boolean = false;

  constructor(events: LinkEvents) {
    this.#events = events;
    const { script, options } = processEntry();
    const child = node.child_process.fork(script, options);
    this.#child = child;
    child.on('message', (message: unknown, handle: unknown) => this.#read(message, handle));
    child.on('error', (error) => {
      // When the child runs, this event means only that a message was not sent. The child's exit tells more.
      if (child.pid !== undefined) return;
      events.onFailure(error);
      this.#exit('could not be started');
    });
    child.on('exit', (code, signal) => {
      const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
      // The child's last messages may not have arrived yet.
      if (child.connected) child.once('disconnect', () => this.#exit(how));
      else this.#exit(how);
    });
    processes.add(child);
    this.keepAlive(false);
  }

  post(message: readonly unknown[]): void {
    if (this.#child.connected) this.#child.send({ gyre: message } satisfies ProcessMessage as Serializable);
  }

  keepAlive(on: boolean): void {
    setAlive(this.#child, on);
    if (this.#child.channel) setAlive(this.#child.channel, on);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #read(message: unknown, handle: unknown): void {
    const content = contentOf(message);
    if (content === null) {
      this.#foreign(message);
      close(handle);
      return;
    }
    try {
      this.#events.onAnswer(content as unknown as Answer);
    } finally {
      this.#events.onRead();
    }
  }

  #exit(how: string): void {
    if (this.#exited) return;
    this.#exited = true;
    processes.remove(this.#child);
    this.#events.onExit(how);
  }
}

/** Closes the socket or server that came with a foreign message, because no other code would. */
function close(handle: unknown): void {
  const sent = handle as { destroy?(): void; close?(): void } | undefined;
  if (sent?.destroy !== undefined) sent.destroy();
  else sent?.close?.();
}

interface WorkerProcesses {
  readonly alive: Set<ChildProcess>;
  killAll: () => void;
  add(child: ChildProcess): void;
  remove(child: ChildProcess): void;
}

/**
 * Kills the children when this process exits, because a child that computes does not notice the exit of its
 * parent.
 */
export const processes: WorkerProcesses = {
  alive: new Set<ChildProcess>(),
  killAll: (): void => {
    for (const child of processes.alive) child.kill('SIGKILL');
  },
  add(child: ChildProcess): void {
    if (this.alive.size === 0) process.on('exit', this.killAll);
    this.alive.add(child);
  },
  remove(child: ChildProcess): void {
    this.alive.delete(child);
    if (this.alive.size === 0) process.off('exit', this.killAll);
  },
};

/** On Bun, the channel of a process has neither method. */
function setAlive(handle: { ref?(): void; unref?(): void }, on: boolean): void {
  if (on) handle.ref?.();
  else handle.unref?.();
}
