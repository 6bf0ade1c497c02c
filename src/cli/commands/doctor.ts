/** `gyre doctor`: compares several looks at a process, and names the usual faults. */
import { sleep } from '../../index.ts';
import type { LoopSnapshot } from '../../inspect/snapshot-types.ts';
import type { Probe } from '../attach/probe.ts';
import type { Figures } from '../figures.ts';
import { loopsOf, takeFigures } from '../figures.ts';
import { bytes, seconds as secondsText } from '../format.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import type { Arguments } from '../usage.ts';
import { plural } from './ps.ts';
import { deadlocks } from './pstree.ts';

export interface Finding {
  readonly kind:
    | 'held loop'
    | 'deadlock'
    | 'full write queue'
    | 'cancel without end'
    | 'busy pool'
    | 'more tasks'
    | 'expired limit'
    | 'unawaited task';
  /** A hint may be as the program wants it: the exit code of the command stays 0. */
  readonly level: 'fault' | 'hint';
  readonly text: string;
  /** The objects that the finding is about, one a line. */
  readonly details: readonly string[];
  readonly advice: string;
}

/** How often the process is looked at. */
const LOOKS = 5;

/** The growth in tasks between the first look and the last one that is worth a finding. */
const GROWTH = 1.2;

export async function doctor(
  { pid, json, seconds = 2 }: Arguments,
  probe: Probe,
  output: Output,
): Promise<number> {
  const looks = [await takeFigures(probe, pid)];
  while (looks.length < LOOKS) {
    await sleep(seconds / (LOOKS - 1));
    looks.push(await takeFigures(probe, pid));
  }
  const found = findings(looks);
  print(output, json ? [JSON.stringify(found)] : doctorLines(found));
  return found.some(({ level }) => level === 'fault') ? 1 : 0;
}

export function findings(looks: readonly Figures[]): Finding[] {
  const first = looks[0] as Figures;
  const last = looks[looks.length - 1] as Figures;
  const before = new Map(loopsOf(first).map(({ title, loop }) => [title, loop]));
  return [
    ...heldLoop(looks),
    ...loopsOf(last).flatMap(({ title, loop }) => {
      const earlier = before.get(title);
      return [
        ...deadlock(loop),
        ...expiredLimits(loop),
        ...(earlier === undefined ? [] : lasting(earlier, loop)),
      ];
    }),
    ...busyPools(first, last),
    ...unawaited(first, last),
  ];
}

/** Finds code that ran in at least half of the looks, while no loop of the main thread began a turn. */
function heldLoop(looks: readonly Figures[]): Finding[] {
  const last = looks.findLast(({ stack }) => stack.length > 0);
  if (last === undefined) return [];
  const held = looks.filter((look) => look.stack.length > 0 && mainTurns(look) === mainTurns(last)).length;
  if (held * 2 < looks.length) return [];
  return [
    {
      kind: 'held loop',
      level: 'fault',
      text: `a callback holds the loop: it ran in ${held} of ${looks.length} looks`,
      details: last.stack,
      advice:
        'Move the work to a thread by `toThread()`, or let the loop go on now and then by `await sleep(0)`.',
    },
  ];
}

function mainTurns({ threads }: Figures): number {
  const loops = threads.flatMap(({ thread, loops }) => (thread === 0 ? loops : []));
  return loops.reduce((turns, loop) => turns + loop.turns, 0);
}

function deadlock(loop: LoopSnapshot): Finding[] {
  return deadlocks(loop).map((text) => ({
    kind: 'deadlock',
    level: 'fault',
    text: 'tasks wait for each other',
    details: text.split(', '),
    advice:
      'Acquire locks in one order everywhere, and do not await a task while you hold a lock that it needs.',
  }));
}

/** How often a limit must have expired in a row. */
const EXPIRIES = 5;

function expiredLimits(loop: LoopSnapshot): Finding[] {
  return loop.expiredLimits
    .filter(({ times }) => times >= EXPIRIES)
    .map(({ name, seconds, body, times, ageSeconds, task }) => ({
      kind: 'expired limit',
      level: 'fault',
      text: `a limit expires always: ${times} times in a row, the last one ${secondsText(ageSeconds)} ago`,
      details: [
        `${name}()${seconds === null ? '' : ` of ${secondsText(seconds)}`} around ${body}${task === null ? '' : `, in task ${task}`}`,
      ],
      advice: 'The limit is too short, or the code in it waits for something that does not come.',
    }));
}

/** Finds the tasks that no code has awaited in both looks. */
function unawaited(first: Figures, last: Figures): Finding[] {
  const tasksOf = (figures: Figures) =>
    loopsOf(figures).flatMap(({ title, loop }) =>
      loop.tasks.filter(({ awaited }) => !awaited).map((task) => ({ ...task, key: `${title} ${task.id}` })),
    );
  const before = new Set(tasksOf(first).map(({ key }) => key));
  const tasks = tasksOf(last).filter(({ key }) => before.has(key));
  if (tasks.length === 0) return [];
  return [
    {
      kind: 'unawaited task',
      level: 'hint',
      text: `${plural(tasks.length, 'task')} that no code awaits`,
      details: tasks.slice(0, MOST_TASKS).map(taskLine),
      advice:
        'If it fails, only the exception handler is told, and if its caller ends, it goes on. A `taskGroup()` awaits its tasks.',
    },
  ];
}

/** The most tasks that a finding lists. */
const MOST_TASKS = 5;

function taskLine({ name, ageSeconds, at }: LoopSnapshot['tasks'][number]): string {
  return `${name}, ${secondsText(ageSeconds)} old, at ${at}`;
}

/** Finds faults that stand in two looks at a loop. */
function lasting(before: LoopSnapshot, now: LoopSnapshot): Finding[] {
  const found: Finding[] = [];
  const fullBefore = new Set(before.handles.filter(isFull).map(({ id }) => id));
  const full = now.handles.filter((handle) => isFull(handle) && fullBefore.has(handle.id));
  if (full.length > 0) {
    found.push({
      kind: 'full write queue',
      level: 'fault',
      text: `${plural(full.length, 'write queue')} stayed above the high-water mark`,
      details: full.map(
        ({ description, queuedBytes = 0, highWaterBytes = 0 }) =>
          `${description}: ${bytes(queuedBytes)} of ${bytes(highWaterBytes)}`,
      ),
      advice:
        'The peer reads slower than the program writes. Await `writer.drain()`, or heed `pauseWriting()`.',
    });
  }
  const cancelledBefore = new Set(before.tasks.filter(isCancelling).map(({ id }) => id));
  const cancelled = now.tasks.filter((task) => isCancelling(task) && cancelledBefore.has(task.id));
  if (cancelled.length > 0) {
    found.push({
      kind: 'cancel without end',
      level: 'fault',
      text: `${plural(cancelled.length, 'cancelled task')} did not end`,
      details: cancelled.map(taskLine),
      advice:
        'The task awaits a promise that knows no cancel: pass it `currentTask().signal`. Or its cleanup hangs.',
    });
  }
  if (now.taskCount > before.taskCount * GROWTH + LOOKS) {
    found.push({
      kind: 'more tasks',
      level: 'fault',
      text: `the number of tasks grew from ${before.taskCount} to ${now.taskCount}`,
      details: newNames(before, now),
      advice:
        'Tasks are created faster than they end. Limit them by a `Semaphore`, or by a `Queue` and a few workers.',
    });
  }
  return found;
}

function isFull({ queuedBytes = 0, highWaterBytes = 0 }: LoopSnapshot['handles'][number]): boolean {
  return queuedBytes > highWaterBytes && highWaterBytes > 0;
}

function isCancelling({ state }: LoopSnapshot['tasks'][number]): boolean {
  return state === 'cancelling';
}

function newNames(before: LoopSnapshot, now: LoopSnapshot): string[] {
  const known = new Set(before.tasks.map(({ id }) => id));
  return now.tasks
    .filter(({ id }) => !known.has(id))
    .slice(0, MOST_TASKS)
    .map(({ name, at }) => `${name} at ${at}`);
}

function busyPools(first: Figures, last: Figures): Finding[] {
  const full = (figures: Figures) =>
    figures.threads.flatMap(({ pools }) =>
      pools.filter((pool) => pool.queued > 0 && pool.workers === pool.maxWorkers),
    );
  if (full(first).length === 0) return [];
  return full(last).map(({ kind, maxWorkers, queued, running }) => ({
    kind: 'busy pool',
    level: 'fault',
    text: `${plural(queued, 'job')} wait for a pool whose ${plural(maxWorkers, 'worker')} all run`,
    details: running.map(({ fn, seconds }) => `${fn || '(anonymous)'} for ${secondsText(seconds)}`),
    advice: `Give the pool more ${kind === 'thread' ? 'threads' : 'processes'} by \`maxWorkers\`, or make the jobs shorter.`,
  }));
}

function doctorLines(found: readonly Finding[]): string[] {
  const faults = found.some(({ level }) => level === 'fault');
  const lines = found.flatMap(({ level, text, details, advice }) => [
    level === 'hint' ? `hint: ${text}` : text,
    ...details.map((line) => `    ${line}`),
    `  ${advice}`,
    '',
  ]);
  return faults ? lines : ['nothing is wrong that this command knows of', ...lines];
}
