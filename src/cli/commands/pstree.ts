/** `gyre pstree`: which task waits for which. */
import type { LoopSnapshot, TaskSnapshot, WaitSnapshot } from '../../inspect/snapshot-types.ts';
import type { Figures } from '../figures.ts';
import { loopsOf } from '../figures.ts';
import { seconds } from '../format.ts';
import { beganAt, headLine } from './ps.ts';

/** A task, and the tasks that it waits for. */
export interface TaskNode {
  readonly task: TaskSnapshot;
  /** How it waits: for the task itself, or for what the task holds. */
  readonly by: 'await' | 'hold' | null;
  readonly awaits: readonly TaskNode[];
  /** Whether the task stands elsewhere in the tree, with what it waits for. */
  readonly repeated: boolean;
}

export function pstreeLines(figures: Figures): string[] {
  return [
    headLine(figures),
    ...loopsOf(figures).flatMap(({ title, loop }) => [
      '',
      title,
      ...branches(taskTree(loop), ''),
      ...deadlocks(loop).map((text) => `deadlock: ${text}`),
    ]),
  ];
}

/** Returns the same as {@link pstreeLines}, as plain data. */
export function pstreeJson(figures: Figures): object {
  const loops = loopsOf(figures).map(({ title, loop }) => ({
    title,
    tasks: taskTree(loop),
    deadlocks: deadlocks(loop),
  }));
  return { pid: figures.pid, loops };
}

/** Returns the tasks for which no other one waits, and one of each cycle. */
export function taskTree(loop: LoopSnapshot): TaskNode[] {
  const byId = new Map(loop.tasks.map((task) => [task.id, task]));
  const shown = new Set<number>();
  const node = (task: TaskSnapshot, by: TaskNode['by']): TaskNode => {
    const repeated = shown.has(task.id);
    shown.add(task.id);
    const awaits = repeated
      ? []
      : awaited(task.waits).flatMap(({ id, by }) => {
          const next = byId.get(id);
          return next === undefined ? [] : [node(next, by)];
        });
    return { task, by, awaits, repeated };
  };
  const roots = loop.tasks.filter((task) => task.awaitedBy.length === 0).map((task) => node(task, null));
  // Tasks that wait for each other have no root.
  const others = loop.tasks.flatMap((task) => (shown.has(task.id) ? [] : [node(task, null)]));
  return [...roots, ...others];
}

/** Returns the tasks that a task waits for, also those that hold the lock for which it waits. */
function awaited(waits: readonly WaitSnapshot[]): { id: number; by: 'await' | 'hold' }[] {
  const found = new Map<number, 'await' | 'hold'>();
  const visit = (wait: WaitSnapshot) => {
    if (wait.task !== null) found.set(wait.task, 'await');
    if (wait.heldBy !== null && !found.has(wait.heldBy)) found.set(wait.heldBy, 'hold');
    wait.waits.forEach(visit);
  };
  waits.forEach(visit);
  return [...found].map(([id, by]) => ({ id, by }));
}

function branches(nodes: readonly TaskNode[], indent: string): string[] {
  return nodes.flatMap((node, index) => {
    const last = index === nodes.length - 1;
    return [
      `${indent}${last ? '└── ' : '├── '}${line(node)}`,
      ...branches(node.awaits, `${indent}${last ? '    ' : '│   '}`),
    ];
  });
}

function line({ task, by, repeated }: TaskNode): string {
  const held = by === 'hold' ? 'held by ' : '';
  if (repeated) return `${held}${task.name} (shown above)`;
  const place = beganAt(task.waits) ?? task.createdAt[0];
  const where = place === undefined ? '' : `  ${place}`;
  return `${held}${task.name}  ${seconds(task.ageSeconds)}  ${task.at}${where}`;
}

/** Describes each group of tasks that wait for each other. */
export function deadlocks({ tasks, cycles }: LoopSnapshot): string[] {
  const names = new Map(tasks.map(({ id, name, at }) => [id, { name, at }]));
  return cycles.map((cycle) =>
    cycle
      .map((id, index) => {
        const { name = `task ${id}`, at = 'a future' } = names.get(id) ?? {};
        const next = cycle[(index + 1) % cycle.length] ?? id;
        return `${name} waits at ${at} for ${names.get(next)?.name ?? `task ${next}`}`;
      })
      .join(', '),
  );
}
