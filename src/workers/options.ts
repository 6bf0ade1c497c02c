/** The options of `serveWorkers()`, and what it tells. */
import { availableParallelism } from 'node:os';
import { DEFAULT_BACKLOG } from '../base/constants.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPort,
  checkSeconds,
  checkSecondsOrNull,
  checkSignal,
  checkString,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';

/** A step in the life of a worker or of all workers. */
export interface WorkerEvent {
  /**
   * - `starting`, `ready`: a worker starts; it serves
   * - `draining`: a worker stops accepting, and waits for its connections
   * - `cancelling`: the deadline is over: the worker cancels its program and aborts its connections
   * - `killing`: the worker did not end, so the supervisor kills it
   * - `ended`: a worker has ended, because the supervisor asked for it
   * - `died`: a worker has ended by itself, with `error`
   * - `restarting`, `restarted`, `restart failed`: a restart of all workers, one by one
   * - `changed`: a file has changed, so a restart follows
   * - `closing`: the supervisor ends all workers
   */
  readonly type:
    | 'starting'
    | 'ready'
    | 'draining'
    | 'cancelling'
    | 'killing'
    | 'ended'
    | 'died'
    | 'restarting'
    | 'restarted'
    | 'restart failed'
    | 'changed'
    | 'closing';
  /** The number of the worker, from 1; null: the event concerns all. */
  readonly worker: number | null;
  /** How often a worker of this number was started, from 1; null: the event concerns all. */
  readonly generation: number | null;
  /** More, for people: the file that has changed, the pause before a restart. */
  readonly detail: string;
  /** The reason of `died` and `restart failed`; otherwise null. */
  readonly error: unknown;
}

/** The options of `serveWorkers()`. */
export interface ServeWorkersOptions extends SignalOptions {
  /** The number of workers. Default: the number of cores that the process may use. */
  workers?: number;
  /**
   * `thread` (default): less memory. `process`: the crash of a worker, or its memory, cannot harm the others.
   */
  kind?: 'thread' | 'process';
  /** A name or a literal address; the first address of a name counts. Default: `0.0.0.0`. */
  host?: string;
  /** The port of all workers. 0 (default): a free one. */
  port?: number;
  /** The number of connections that may wait to be accepted by a worker. Default: 100. */
  backlog?: number;
  /**
   * Seconds in which a worker that shall end may finish its connections. Then it cancels its program, and
   * aborts the rest. Null: no limit. Default: 10.
   */
  deadline?: number | null;
  /** Seconds from that cancel until the worker is killed. Default: 5. */
  grace?: number;
  /** Seconds in which a worker must become ready; then it is killed. Null: no limit. Default: 30. */
  startTimeout?: number | null;
  /**
   * Seconds before a worker that died is started again. Each further death doubles them, up to 30 s. Default:
   * 0.1.
   */
  backoff?: number;
  /**
   * How often in a row a worker may die within 10 s of its start. One time more is a crash loop, which ends
   * all workers. Default: 5.
   */
  maxRestarts?: number;
  /**
   * Restarts the workers when a file changes: true for the folder of the module, or files and folders.
   * Default: false.
   */
  watch?: boolean | string | readonly string[];
  /** Called with each event. */
  onEvent?: (event: WorkerEvent) => void;
}

/** The options with their defaults. */
export type Settings = Readonly<Required<Omit<ServeWorkersOptions, 'signal'>>>;

const NAMES = [
  'workers',
  'kind',
  'host',
  'port',
  'backlog',
  'deadline',
  'grace',
  'startTimeout',
  'backoff',
  'maxRestarts',
  'watch',
  'onEvent',
  'signal',
];

/** More than any machine has cores. */
const MOST_WORKERS = 4096;
const LARGEST_INT = 0x7fff_ffff;

/** Checks the options, and adds the defaults. */
export function settingsOf(options: ServeWorkersOptions): Settings {
  checkOptions('options', options, NAMES);
  const settings: Settings = {
    workers: options.workers ?? availableParallelism(),
    kind: options.kind ?? 'thread',
    host: options.host ?? '0.0.0.0',
    port: options.port ?? 0,
    backlog: options.backlog ?? DEFAULT_BACKLOG,
    deadline: options.deadline === undefined ? 10 : options.deadline,
    grace: options.grace ?? 5,
    startTimeout: options.startTimeout === undefined ? 30 : options.startTimeout,
    backoff: options.backoff ?? 0.1,
    maxRestarts: options.maxRestarts ?? 5,
    watch: options.watch ?? false,
    onEvent: options.onEvent ?? (() => {}),
  };
  check(settings);
  checkSignal('options.signal', options.signal);
  return settings;
}

function check(settings: Settings): void {
  checkInteger('options.workers', settings.workers, 1, MOST_WORKERS);
  if (settings.kind !== 'thread' && settings.kind !== 'process') {
    throw invalidArgType('options.kind', settings.kind, "'thread' or 'process'");
  }
  checkString('options.host', settings.host);
  checkPort('options.port', settings.port);
  checkInteger('options.backlog', settings.backlog, 1, LARGEST_INT);
  checkInteger('options.maxRestarts', settings.maxRestarts, 0, LARGEST_INT);
  checkSecondsOrNull('options.deadline', settings.deadline);
  checkSecondsOrNull('options.startTimeout', settings.startTimeout);
  for (const name of ['grace', 'backoff'] as const) checkSeconds(`options.${name}`, settings[name]);
  for (const name of ['deadline', 'grace', 'startTimeout', 'backoff'] as const) {
    const value = settings[name];
    if (value !== null && value < 0) throw outOfRange(`options.${name}`, value, 'at least 0 seconds');
  }
  checkFunction('options.onEvent', settings.onEvent);
  checkWatch(settings.watch);
}

function checkWatch(watch: Settings['watch']): void {
  if (typeof watch === 'string') return;
  if (!Array.isArray(watch)) checkBoolean('options.watch', watch);
  else for (const path of watch) checkString('options.watch', path);
}
