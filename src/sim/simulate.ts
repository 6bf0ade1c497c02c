/** Runs a scenario in a simulated world. */
import type { WorldTraceEntry } from '../backend/sim/world-trace.ts';
import { LoopError } from '../base/errors.ts';
import { hostSetImmediate } from '../base/host.ts';
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkSeconds,
  checkString,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import { checkSeed } from '../loops/simulated-event-loop.ts';
import { hasForeignLayer, installForeignLayer } from './foreign-layer.ts';
import { runOutside } from './place.ts';
import { installProcessHooks } from './process-hooks.ts';
import type { HostReport, Outcome, WorldSettings } from './world.ts';
import { checkOutside, World } from './world.ts';

export interface SimulateOptions {
  /**
   * The integer from which all randomness follows. Default: another one each time; the report and the error
   * of a failure have it.
   */
  seed?: number;
  /**
   * Records the events of the world for `report.trace`: packets, programs, signals and faults. `'loops'`:
   * also each entry of each loop. Default: false; with `traceFile`: `'loops'`.
   */
  trace?: boolean | 'loops';
  /**
   * The path of a file for the trace, in the format of `gyre trace`, which Perfetto opens: each host is a
   * thread, and times are those of the world. The same seed gives the same file, and `gyre diff` finds the
   * first difference of two. It is written when the simulation ends, also by an error. Default: no file.
   */
  traceFile?: string;
  /**
   * The path of a capture file, which Wireshark opens: every packet at the moment when it is sent. Default:
   * no file.
   */
  pcap?: string;
  /** The date at the beginning. Default: 2025-01-01, 00:00 UTC. */
  epoch?: Date;
  /** Seconds of the world after which the simulation fails. Default: no limit. */
  timeLimit?: number;
  /**
   * Seconds of the real clock that the simulation may compute before it fails, so that an endless one ends.
   * Default: 60.
   */
  realTimeLimit?: number;
  /**
   * Seconds of the real clock that real work of a host may take: a file, a worker thread, a computation of
   * `node:crypto`. Time stands still meanwhile. Then the simulation fails, and says who began the work.
   * Default: 10.
   */
  realWorkLimit?: number;
  /** Seconds of the world that cancelled programs have to clean up at the end. Default: 60. */
  cleanupLimit?: number;
  /**
   * Makes Node's own modules, timers, clocks and random numbers those of the world, for code of its hosts.
   * Bun and Deno cannot do this. Default: true on Node.
   */
  node?: boolean;
  /** Runs all loops in debug mode, so that a report has the stacks of tasks. Default: as outside. */
  debug?: boolean;
  /**
   * Called with each report of a loop (a leak, an exception that nothing handled) instead of printing it. If
   * it throws, the simulation fails.
   */
  onReport?: (report: HostReport) => void;
}

/** The result of a simulation. */
export interface SimulationReport<T> {
  /** The result of the scenario. */
  readonly value: T;
  readonly seed: number;
  /** Seconds of the world that the simulation took. */
  readonly time: number;
  /** The number of packets that hosts sent. */
  readonly packets: number;
  /** The number of packets that a fault dropped or refused. */
  readonly stopped: number;
  /** With the option `trace`: every event. Otherwise the last ones, without packets. */
  readonly trace: readonly WorldTraceEntry[];
  /** Leaks and unhandled exceptions of the hosts' loops. */
  readonly reports: readonly HostReport[];
}

const OPTIONS = [
  'seed',
  'trace',
  'traceFile',
  'pcap',
  'epoch',
  'timeLimit',
  'realTimeLimit',
  'realWorkLimit',
  'cleanupLimit',
  'node',
  'debug',
  'onReport',
];
const EPOCH_MS = Date.UTC(2025, 0, 1);
const REAL_SECONDS = 60;
const REAL_WORK_SECONDS = 10;
const CLEANUP_SECONDS = 60;
const MAX_RANDOM_SEED = 2 ** 31;

/**
 * Runs a scenario in a simulated world: hosts, a network between them and one clock, all in this process.
 *
 * Time is virtual: it stands still while anything runs, and then jumps to the next event of the world.
 * Everything that happens follows from the seed, so the same seed gives the same run.
 *
 * The scenario runs as a task on a loop of the world. When it returns or throws, every program of every host
 * is cancelled and cleans up, and what is then left open is reported by host.
 *
 * @param options the seed, limits, and the events to record; they may be left out
 * @param scenario makes hosts and runs programs on them
 * @returns a report with the result of the scenario
 * @throws the exception of the scenario; SimulationError if nothing can run any more, if a limit has passed,
 *   or if code of a host failed and nothing handled it. The stack of the error ends with the seed, the time,
 *   the last events and the sockets of the hosts
 *
 * @example
 * ```ts
 * import { getRunningLoop, openConnection, startServer } from 'gyre';
 * import { simulate } from 'gyre/sim';
 *
 * const report = await simulate({ seed: 1 }, async (world) => {
 *   const [server, client] = [world.host('server'), world.host('client')];
 *   void server.run(async () => {
 *     const hello = await startServer((_reader, writer) => {
 *       writer.write('hello');
 *       writer.close();
 *     }, null, 80);
 *     await hello.serveForever();
 *   });
 *   const cut = world.partition(server, client);
 *   getRunningLoop().callLater(60, () => cut.end());
 *   return await client.run(async () => {
 *     const [reader, writer] = await openConnection('server', 80); // its SYN gets through after a minute
 *     const text = String(await reader.read());
 *     writer.close();
 *     await writer.waitClosed();
 *     return text;
 *   });
 * });
 * console.log(report.value, Math.round(report.time)); // hello 63
 * ```
 */
export function simulate<T>(scenario: (world: World) => PromiseLike<T>): Promise<SimulationReport<T>>;
export function simulate<T>(
  options: SimulateOptions,
  scenario: (world: World) => PromiseLike<T>,
): Promise<SimulationReport<T>>;
export async function simulate<T>(
  first: SimulateOptions | ((world: World) => PromiseLike<T>),
  second?: (world: World) => PromiseLike<T>,
): Promise<SimulationReport<T>> {
  const options = typeof first === 'function' ? {} : first;
  const scenario = typeof first === 'function' ? first : second;
  checkFunction('scenario', scenario);
  const settings = settingsOf(options);
  checkOutside();
  return await start(settings, options.node ?? true, scenario as (world: World) => PromiseLike<T>);
}

/** Runs a world with checked settings. For checkDeterminism, which looks at the world. */
export async function start<T>(
  settings: WorldSettings,
  node: boolean,
  scenario: (world: World) => PromiseLike<T>,
  prepare: (world: World) => void = () => {},
): Promise<SimulationReport<T>> {
  const world = new World(settings);
  prepare(world);
  const uninstallHooks = installProcessHooks();
  const uninstallForeign = node
    ? installForeignLayer({
        timeline: world._timeline,
        realWorkLimit: settings.realWorkLimit,
        fail: (error) => world.fail(error),
        tell: (host, kind, label) => world._trace.tell(host, kind, label),
      })
    : () => {};
  let outcome: Outcome<T>;
  try {
    outcome = await world._run(scenario);
    // The host reports unhandled rejections after the microtasks in which they happen.
    await new Promise<void>((resolve) => runOutside(() => hostSetImmediate(resolve)));
  } finally {
    world._closeFiles();
    uninstallForeign();
    uninstallHooks();
  }
  if ('error' in outcome) throw explained(outcome.error, world);
  return {
    value: outcome.value,
    seed: world.seed,
    time: world.time(),
    packets: world._fabric.packets,
    stopped: world._fabric.stopped,
    trace: world._trace.entries,
    reports: world._reports,
  };
}

/** Checks the options, and fills them up. */
export function settingsOf(options: SimulateOptions): WorldSettings {
  checkOptions('options', options, OPTIONS);
  const { seed, traceFile, pcap, epoch, node, debug, onReport } = options;
  const {
    trace = traceFile === undefined ? false : 'loops',
    timeLimit = Number.POSITIVE_INFINITY,
    realTimeLimit = REAL_SECONDS,
    realWorkLimit = REAL_WORK_SECONDS,
    cleanupLimit = CLEANUP_SECONDS,
  } = options;
  if (seed !== undefined) checkSeed('options.seed', seed);
  if (trace !== 'loops') checkBoolean('options.trace', trace);
  if (traceFile !== undefined) {
    checkString('options.traceFile', traceFile);
    if (trace === false) throw outOfRange('options.trace', trace, "true or 'loops' beside traceFile");
  }
  if (pcap !== undefined) checkString('options.pcap', pcap);
  if (node !== undefined) checkBoolean('options.node', node);
  if (node === true && !hasForeignLayer()) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'the modules of this platform cannot be simulated: use Node, or leave options.node out',
    );
  }
  if (debug !== undefined) checkBoolean('options.debug', debug);
  if (onReport !== undefined) checkFunction('options.onReport', onReport);
  for (const [name, value] of Object.entries({ timeLimit, realTimeLimit, realWorkLimit, cleanupLimit })) {
    checkSeconds(`options.${name}`, value);
    if (value < 0) throw outOfRange(`options.${name}`, value, 'not negative');
  }
  return {
    seed: seed ?? Math.floor(Math.random() * MAX_RANDOM_SEED),
    trace,
    traceFile: traceFile ?? null,
    pcap: pcap ?? null,
    epoch: epochOf(epoch) / 1000,
    timeLimit,
    realTimeLimit,
    realWorkLimit,
    cleanupLimit,
    debug,
    onReport: onReport ?? null,
  };
}

function epochOf(epoch: Date | undefined): number {
  if (epoch === undefined) return EPOCH_MS;
  const time =
    typeof epoch === 'object' && epoch !== null && typeof epoch.getTime === 'function'
      ? epoch.getTime()
      : null;
  if (typeof time !== 'number') throw invalidArgType('options.epoch', epoch, 'a Date');
  if (Number.isNaN(time)) throw outOfRange('options.epoch', epoch, 'a valid Date');
  return time;
}

/** Lines of sockets in the report of a failure. */
const MAX_SOCKET_LINES = 60;

function socketsOf({ _netstat }: World): string[] {
  if (_netstat === null) return [];
  const lines = _netstat.split('\n');
  const shown = lines.slice(0, MAX_SOCKET_LINES).map((line) => `    ${line}`);
  if (lines.length > shown.length) shown.push(`    … ${lines.length - shown.length} more lines`);
  return ['The sockets of its hosts:', ...shown];
}

/**
 * Adds to the stack of an error how to bring it back, and what the world looked like. The message stays as it
 * is, because tests compare it.
 */
function explained(error: unknown, world: World): unknown {
  if (!(error instanceof Error)) return error;
  const events = world._trace.recent().map((line) => `    ${line}`);
  const lines = [
    `In a simulation with seed ${world.seed}, at ${world.time()} s of its clock.`,
    ...(events.length === 0 ? [] : ['Its last events:', ...events]),
    ...socketsOf(world),
  ];
  try {
    error.stack = `${error.stack ?? String(error)}\n\n  ${lines.join('\n  ')}\n`;
  } catch {
    // A frozen error stays as it is.
  }
  return error;
}
