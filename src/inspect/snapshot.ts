/**
 * The state of all loops of a thread, as one plain object: for `gyre ps` and its page, which read it through
 * the inspector, and for programs that call `snapshot()` themselves.
 *
 * Taking it changes nothing: it runs no code of the program, ends no wait and reads no clock of a loop twice.
 */
import { hostNow } from '../base/host.ts';
import { livePools } from '../executor/pool-executor.ts';
import { creationOf, originOf } from '../loop/creation.ts';
import type { ExpiredLimit } from '../loop/expired-limits.ts';
import type { Resource } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import { node } from '../platform/node-modules.ts';
import type { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import type { Scope } from '../tasks/scope.ts';
import type { Task } from '../tasks/task.ts';
import type { InspectedCopy } from './loops.ts';
import { loopId, openLoops } from './loops.ts';
import { loopMetrics } from './metrics.ts';
import { recording } from './recording.ts';
import type {
  ExpiredLimitSnapshot,
  HandleSnapshot,
  LoopSnapshot,
  Snapshot,
  TaskSnapshot,
  TimerSnapshot,
  WaitSnapshot,
} from './snapshot-types.ts';
import {
  awaitedBy,
  cyclesOf,
  DEPTH,
  framesOf,
  isTask,
  kindOf,
  looseScopes,
  nameOf,
  tasksOf,
} from './waits.ts';

/** The most elements of each list. */
const MOST = 1000;
/** The most futures that a wait lists. */
const MOST_WAITS = 100;
/** The most characters of the source of a function. */
const MOST_SOURCE = 80;
/** The most timers: those that are due first. */
const MOST_TIMERS = 20;

/** This copy of gyre, for inspectors from outside. */
export const inspectedCopy: InspectedCopy = { format: 1, snapshot, recording };

const ids: WeakMap<object, number> = new WeakMap();
let lastId = 0;

/** Returns the number of a task or a handle. It keeps the number, so two snapshots can be compared. */
function idOf(thing: object): number {
  let id = ids.get(thing);
  if (id === undefined) {
    id = ++lastId;
    ids.set(thing, id);
  }
  return id;
}

/**
 * Returns the state of all loops of this thread that are not closed: their tasks and waits, sockets,
 * children, timers and metrics, and the jobs of the pools. The result is plain data.
 *
 * A worker thread has loops of its own, which only its own call shows. Lists are cut at a thousand elements.
 *
 * @example
 * ```ts
 * import { run, sleep, snapshot } from 'gyre';
 *
 * await run(async () => {
 *   await sleep(0.01);
 *   for (const { name, ageSeconds, at } of snapshot().loops[0]!.tasks) console.log(name, ageSeconds, at);
 * });
 * ```
 */
export function snapshot(): Snapshot {
  const { threadId, isMainThread } = node.worker_threads;
  return {
    format: 1,
    pid: process.pid,
    threadId,
    isMainThread,
    node: process.version,
    title: process.argv[1] ?? process.title,
    uptimeSeconds: hostNow() / 1000,
    loops: openLoops().map(loopSnapshot),
    pools: Array.from(livePools, (pool) => pool._poolFacts()),
  };
}

function loopSnapshot(loop: Loop): LoopSnapshot {
  const scheduler = loop._scheduler;
  const now = loop._backend.time();
  const tasks = tasksOf(loop);
  const handles = [...loop._owned.resources];
  return {
    id: loopId(loop),
    kind: loop.constructor.name,
    backend: loop._backend.name,
    running: loop.isRunning(),
    debug: loop.debug,
    time: now,
    turns: scheduler.turns,
    ready: scheduler.ready.length,
    metrics: loopMetrics(loop),
    taskCount: tasks.length,
    tasks: taskSnapshots(loop, tasks),
    cycles: cyclesOf(tasks).map((cycle) => cycle.map(idOf)),
    loose: looseScopes(loop)
      .slice(0, MOST)
      .map((scope) => waitsIn(scope)),
    expiredLimits: Array.from(scheduler.expiredLimits, (limit) => limitSnapshot(limit, now)),
    handleCount: handles.length,
    handles: handles.slice(0, MOST).map((handle) => handleSnapshot(handle, now)),
    timerCount: scheduler.timers.size,
    timers: timerSnapshots(loop, now),
  };
}

function taskSnapshots(loop: Loop, tasks: readonly Task[]): TaskSnapshot[] {
  const shown = tasks.slice(0, MOST);
  const waiting = new Map<Task, number[]>(shown.map((task) => [task, []]));
  for (const task of tasks) {
    for (const awaited of awaitedBy(task).tasks) waiting.get(awaited)?.push(idOf(task));
  }
  return shown.map((task) => ({
    id: idOf(task),
    loop: loopId(loop),
    name: task.name,
    state: stateOf(task),
    ageSeconds: task._ageSeconds(),
    cancelRequests: task.cancelling(),
    at: task._hasBegun ? task._standsAt() : 'its first step',
    waits: waitsIn(task._scope),
    awaitedBy: waiting.get(task) ?? [],
    awaited: task._waiters !== null,
    createdBy: creationOf(task)?.owner ?? null,
    createdAt: framesOf(originOf(task)),
  }));
}

function stateOf(task: Task): TaskSnapshot['state'] {
  if (!task._hasBegun) return 'not started';
  if (task._cancelRequests > 0) return 'cancelling';
  return task._scope.lastWait === null ? 'unknown' : 'waiting';
}

function waitsIn(scope: Scope): WaitSnapshot[] {
  const futures = Array.from(scope.waits(), (wait) => wait.future as Future<unknown>);
  return waitSnapshots(futures, DEPTH);
}

function waitSnapshots(futures: readonly Future<unknown>[], depth: number): WaitSnapshot[] {
  if (depth === 0) return [];
  return futures.slice(0, MOST_WAITS).map((future) => waitSnapshot(future, depth));
}

function waitSnapshot(future: Future<unknown>, depth: number): WaitSnapshot {
  const kind = kindOf(future);
  const awaited = future._waitsFor();
  const isOther = isTask(future);
  const holder = kind === 'waiter' ? awaited.find(isTask) : undefined;
  return {
    on: nameOf(future),
    kind,
    task: isOther ? idOf(future) : null,
    heldBy: holder === undefined ? null : idOf(holder),
    begunAt: framesOf(future._begunAt()),
    count: isOther || kind === 'waiter' ? 0 : awaited.length,
    waits: isOther || kind === 'waiter' ? [] : waitSnapshots(awaited, depth - 1),
  };
}

function limitSnapshot({ at, body, ...limit }: ExpiredLimit, now: number): ExpiredLimitSnapshot {
  const line = body.replace(/\s+/g, ' ');
  const shown = line.length <= MOST_SOURCE ? line : `${line.slice(0, MOST_SOURCE)}…`;
  return { ...limit, body: shown, ageSeconds: Math.max(0, now - at) };
}

function handleSnapshot(handle: Resource, now: number): HandleSnapshot {
  const { at = null, owner = null, acceptedBy = null } = creationOf(handle) ?? {};
  const isOperation = handle instanceof HostOperation;
  const facts = handle._resourceFacts?.() ?? { kind: isOperation ? 'operation' : 'handle', state: 'open' };
  return {
    id: idOf(handle),
    description: isOperation ? handle._asWait() : String(handle),
    ...facts,
    ageSeconds: at === null ? null : Math.max(0, now - at),
    owner,
    acceptedBy: acceptedBy?._name() ?? null,
  };
}

function timerSnapshots(loop: Loop, now: number): TimerSnapshot[] {
  return [...loop._scheduler.timers]
    .sort((a, b) => a._when - b._when || a._seq - b._seq)
    .slice(0, MOST_TIMERS)
    .map((timer) => ({
      callback: timer._callback?.name || '(anonymous)',
      inSeconds: timer._when - now,
      createdAt: framesOf(originOf(timer)),
    }));
}
