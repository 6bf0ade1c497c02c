/** `gyre top`: what the loops do, once a second. */
import { sleep } from '../../index.ts';
import type { LoopSnapshot, TaskSnapshot } from '../../inspect/snapshot-types.ts';
import type { Probe } from '../attach/probe.ts';
import type { Figures } from '../figures.ts';
import { loopsOf, takeFigures } from '../figures.ts';
import { bytes, count, seconds, table } from '../format.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import type { Arguments } from '../usage.ts';
import { headLine } from './ps.ts';

/** Lines of each list. */
const MOST = 15;

/** Moves the cursor home and erases what is below. */
const CLEAR = '\u001b[H\u001b[J';

/** Shows the figures until the process ends, or until Ctrl-C. */
export async function top(
  { pid, json, seconds: pause = 1 }: Arguments,
  probe: Probe,
  output: Output,
): Promise<never> {
  let before = await takeFigures(probe, pid);
  for (;;) {
    await sleep(pause);
    const now = await takeFigures(probe, pid);
    if (output.isTTY === true && !json) output.write(CLEAR);
    print(output, json ? [JSON.stringify(now)] : topLines(before, now));
    before = now;
  }
}

export function topLines(before: Figures, now: Figures): string[] {
  const earlier = new Map(loopsOf(before).map(({ title, loop }) => [title, loop]));
  const loops = loopsOf(now);
  return [
    headLine(now),
    ...(now.stack.length === 0 ? [] : [`its main thread runs ${now.stack[0]}`]),
    '',
    ...table(
      ['LOOP', 'TURNS/S', 'TURN P99', 'LATE P99', 'READY', 'TASKS', 'HANDLES', 'TIMERS'],
      loops.map(({ title, loop }) => [
        title,
        count(turnsPerSecond(earlier.get(title), loop)),
        seconds(loop.metrics['gyre.loop.turn.duration'].p99),
        seconds(loop.metrics['nodejs.eventloop.delay'].p99),
        count(loop.ready),
        count(loop.taskCount),
        count(loop.handleCount),
        count(loop.timerCount),
      ]),
    ),
    ...section(['TASKS', 'NAME', 'AT'], taskGroups(loops.flatMap(({ loop }) => loop.tasks))),
    ...section(['QUEUED', 'OF', 'HANDLE'], queues(loops.map(({ loop }) => loop))),
  ];
}

function turnsPerSecond(before: LoopSnapshot | undefined, now: LoopSnapshot): number {
  const passed = now.time - (before?.time ?? now.time);
  return passed > 0 ? (now.turns - (before?.turns ?? 0)) / passed : 0;
}

function section(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : ['', ...table(head, rows.slice(0, MOST))];
}

/** Counts the tasks that stand at the same wait and have the same name but for its number. */
export function taskGroups(tasks: readonly TaskSnapshot[]): string[][] {
  const groups = new Map<string, { size: number; name: string; at: string }>();
  for (const { name, at } of tasks) {
    const kind = name.replace(/\d+/g, '#');
    const group = groups.get(`${kind} ${at}`);
    if (group === undefined) groups.set(`${kind} ${at}`, { size: 1, name, at });
    else groups.set(`${kind} ${at}`, { size: group.size + 1, name: kind, at });
  }
  return [...groups.values()]
    .sort((a, b) => b.size - a.size)
    .map(({ size, name, at }) => [count(size), name, at]);
}

/** Returns the write queues that are not empty, the longest first. */
function queues(loops: readonly LoopSnapshot[]): string[][] {
  return loops
    .flatMap(({ handles }) => handles)
    .filter(({ queuedBytes = 0 }) => queuedBytes > 0)
    .sort((a, b) => (b.queuedBytes ?? 0) - (a.queuedBytes ?? 0))
    .map((handle) => [bytes(handle.queuedBytes ?? 0), bytes(handle.highWaterBytes ?? 0), handle.description]);
}
