/** The snapshots of a process: one for each copy of gyre in each of its threads. */
import type { LoopSnapshot, Snapshot } from '../inspect/snapshot-types.ts';
import type { Probe } from './attach/probe.ts';
import { Problem } from './problem.ts';

export interface Figures {
  readonly pid: number;
  readonly threads: readonly ThreadFigures[];
  /** The frames of the code that held the main thread at this moment, innermost first; empty: it was idle. */
  readonly stack: readonly string[];
}

/** A snapshot, with the thread that took it: 0 is the main thread. */
export interface ThreadFigures extends Snapshot {
  readonly thread: number;
}

export async function takeFigures(probe: Probe, pid: number): Promise<Figures> {
  const stack = await probe.stack();
  const answers = await probe.ask<Snapshot>('snapshot');
  if (answers.length === 0) {
    throw new Problem(`process ${pid} has no loop of gyre`, [
      'It does not use gyre, it has created no loop yet, or its copy of gyre is older than this command.',
    ]);
  }
  return { pid, threads: answers.map(({ thread, value }) => ({ ...value, thread })), stack };
}

/** Returns all loops, each with a title that is unique in the process. */
export function loopsOf(figures: Figures): { title: string; loop: LoopSnapshot }[] {
  return figures.threads.flatMap(({ thread, loops }) =>
    loops.map((loop) => {
      const where = thread === 0 ? '' : ` in worker thread ${thread}`;
      return { title: `loop ${loop.id}${where}: ${loop.kind}`, loop };
    }),
  );
}
