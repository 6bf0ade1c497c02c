/** `gyre ps`: what the loops of a process have at this moment. */
import path from 'node:path';
import type {
  HandleSnapshot,
  LoopSnapshot,
  TaskSnapshot,
  TimerSnapshot,
  WaitSnapshot,
} from '../../inspect/snapshot-types.ts';
import type { Figures, ThreadFigures } from '../figures.ts';
import { loopsOf } from '../figures.ts';
import { bytes, count, seconds, table } from '../format.ts';

export function psLines(figures: Figures): string[] {
  return [
    headLine(figures),
    ...stackLines(figures),
    ...loopsOf(figures).flatMap(({ title, loop }) => ['', ...loopLines(title, loop)]),
    ...figures.threads.flatMap(poolLines),
  ];
}

export function headLine({ pid, threads: [main] }: Figures): string {
  const { title = '', node = '', uptimeSeconds = 0 } = main ?? {};
  return `process ${pid} (${path.basename(title)}), Node ${node.replace(/^v/, '')}, up ${seconds(uptimeSeconds)}`;
}

function stackLines({ stack }: Figures): string[] {
  return stack.length === 0 ? [] : ['its main thread runs', ...stack.map((frame) => `    ${frame}`)];
}

export function loopLine(title: string, loop: LoopSnapshot): string {
  const parts = [
    loop.backend,
    loop.running ? 'running' : 'not running',
    plural(loop.taskCount, 'task'),
    plural(loop.handleCount, 'handle'),
    plural(loop.timerCount, 'timer'),
    `${count(loop.ready)} ready`,
    `${count(loop.turns)} turns so far`,
  ];
  return `${title}, ${parts.join(', ')}`;
}

/** Returns how long turns take, how late timers are, and how long code has held the loop. */
export function metricLines({ metrics }: LoopSnapshot): string[] {
  const { p50, p99, max } = metrics['gyre.loop.turn.duration'];
  const late = metrics['nodejs.eventloop.delay'];
  const { count: times, longest } = metrics['gyre.loop.held'];
  const held =
    longest === null
      ? ''
      : `; held ${plural(times, 'time')}, at most ${seconds(longest.seconds)} by ${longest.by}`;
  return [
    `turns: half under ${seconds(p50)}, 99 % under ${seconds(p99)}, at most ${seconds(max)}${held}`,
    ...(late.count === 0
      ? []
      : [`timers late: half under ${seconds(late.p50)}, 99 % under ${seconds(late.p99)}`]),
  ];
}

function loopLines(title: string, loop: LoopSnapshot): string[] {
  const parts = [
    table(['TASK', 'AGE', 'STATE', 'AT', 'BEGUN AT'], loop.tasks.map(taskRow)),
    table(['HANDLE', 'STATE', 'LOCAL', 'PEER', 'QUEUED', 'AGE', 'MADE BY'], loop.handles.map(handleRow)),
    table(['TIMER', 'IN', 'CREATED AT'], loop.timers.map(timerRow)),
  ];
  return [
    loopLine(title, loop),
    ...metricLines(loop).map((line) => `  ${line}`),
    ...parts.flatMap((lines) => (lines.length === 1 ? [] : lines.map((line) => `  ${line}`))),
    ...cutLine(loop),
  ];
}

function cutLine({ tasks, taskCount, handles, handleCount }: LoopSnapshot): string[] {
  const cut = taskCount - tasks.length + handleCount - handles.length;
  return cut === 0 ? [] : [`  … and ${count(cut)} more tasks and handles`];
}

function taskRow({ name, ageSeconds, state, at, waits, createdAt }: TaskSnapshot): string[] {
  return [name, seconds(ageSeconds), state, at, beganAt(waits) ?? createdAt[0] ?? ''];
}

/** Returns the place of the program at which a task began its innermost wait. */
export function beganAt(waits: readonly WaitSnapshot[]): string | undefined {
  for (const wait of waits) {
    const place = wait.begunAt[0] ?? beganAt(wait.waits);
    if (place !== undefined) return place;
  }
  return undefined;
}

function handleRow(handle: HandleSnapshot): string[] {
  const { kind, state, local, peer, queuedBytes, ageSeconds, owner, acceptedBy } = handle;
  const addressed = local != null || peer != null;
  return [
    addressed ? kind : handle.description,
    state,
    local ?? '',
    peer ?? '',
    queuedBytes === undefined ? '' : bytes(queuedBytes),
    ageSeconds === null ? '' : seconds(ageSeconds),
    owner ?? acceptedBy ?? '',
  ];
}

function timerRow({ callback, inSeconds, createdAt }: TimerSnapshot): string[] {
  const when = inSeconds < 0 ? `${seconds(-inSeconds)} late` : seconds(inSeconds);
  return [callback, when, createdAt[0] ?? ''];
}

function poolLines({ thread, pools }: ThreadFigures): string[] {
  return pools.flatMap(({ kind, workers, maxWorkers, running, queued }) => {
    const where = thread === 0 ? '' : ` of worker thread ${thread}`;
    return [
      '',
      `pool of ${kind}s${where}: ${workers} of ${maxWorkers} workers, ${plural(queued, 'job')} queued`,
      ...running.map(({ fn, seconds: age }) => `  ${fn || '(anonymous)'} for ${seconds(age)}`),
    ];
  });
}

export function plural(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? '' : 's'}`;
}
