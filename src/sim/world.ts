/** A simulated world: hosts, a network, faults and one clock. */
import { Fabric } from '../backend/sim/fabric/fabric.ts';
import type { HostSet, Rule } from '../backend/sim/fabric/rules.ts';
import { SimHost } from '../backend/sim/host.ts';
import { Kernel } from '../backend/sim/kernel.ts';
import { Random } from '../backend/sim/random.ts';
import { Timeline } from '../backend/sim/timeline.ts';
import { WorldTrace } from '../backend/sim/world-trace.ts';
import { hostClearTimeout, hostSetTimeout } from '../base/host.ts';
import { checkOptions, invalidArgType, outOfRange } from '../base/validate.ts';
import { printException } from '../loop/exception-handler.ts';
import type { ExceptionContext } from '../loop/types.ts';
import type { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
import { drawOf } from './distribution.ts';
import { Dns } from './dns.ts';
import { SimulationError } from './errors.ts';
import { Fault, NetworkFaults } from './faults.ts';
import type { HostWorld } from './host.ts';
import { Host } from './host.ts';
import { checkedAddress, checkHostName, SCENARIO } from './host-names.ts';
import { watchInvariants } from './invariant.ts';
import { Capture } from './pcap.ts';
import { currentPlace, runOutside } from './place.ts';
import type { Program } from './program.ts';
import { WorldTraceFile } from './trace-file.ts';
import { waitsOf } from './waits.ts';

export interface HostOptions {
  /**
   * IPv4 and IPv6 addresses that no other host has. Default: the next of `10.0.0.1`, `10.0.0.2`, …, and the
   * same number behind `fd00::`.
   */
  addresses?: readonly string[];
}

/** A report of a loop of a host: a leak, or an exception that no code has handled. */
export interface HostReport {
  readonly host: string;
  readonly message: string;
  readonly exception: unknown;
}

/** The options of a world, checked and complete. */
export interface WorldSettings {
  readonly seed: number;
  readonly trace: boolean | 'loops';
  /** The path of the file for the trace, or null. */
  readonly traceFile: string | null;
  /** The path of the capture file, or null. */
  readonly pcap: string | null;
  /** Seconds since 1970. */
  readonly epoch: number;
  readonly timeLimit: number;
  readonly realTimeLimit: number;
  readonly realWorkLimit: number;
  readonly cleanupLimit: number;
  readonly debug: boolean | undefined;
  readonly onReport: ((report: HostReport) => void) | null;
}

/** Seconds of the real clock for the cleanup after the limit. */
const REAL_CLEANUP_SECONDS = 10;
const MAX_HOSTS = 65_000;

/** How a scenario has ended. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/**
 * A simulated world. `simulate()` makes it and passes it to the scenario.
 *
 * It has hosts, which {@link host} makes, a network between them, whose faults are the methods of
 * {@link NetworkFaults}, and one clock, which jumps to the next event when nothing can run.
 */
export class World extends NetworkFaults {
  /** The integer from which all randomness of the world comes. */
  readonly seed: number;
  /** The name servers: names beside those of the hosts, and their failures. */
  readonly dns: Dns;
  /** @internal */ readonly _timeline: Timeline = new Timeline(0);
  /** @internal */ readonly _fabric: Fabric = new Fabric(this._timeline);
  /** @internal */ readonly _trace: WorldTrace;
  /** Called with each loop that a program makes. @internal */
  _onLoop: ((host: string, loop: SimulatedEventLoop) => void) | null = null;
  /**
   * Milliseconds of the real clock that work of the real world has to wake a world in which nothing can run.
   *
   * @internal
   */
  _graceMs: number = 250;
  /** The sockets when the scenario failed, or null. @internal */ _netstat: string | null = null;
  /** @internal */ readonly _reports: HostReport[] = [];
  readonly #settings: WorldSettings;
  readonly #random: Random;
  readonly #forks: Map<string, number> = new Map();
  readonly #hosts: Map<string, Host> = new Map();
  /** By their names in lower case, because names are looked up so. */
  readonly #names: Map<string, Host> = new Map();
  readonly #scenarioHost: Host;
  readonly #hostWorld: HostWorld;
  #ended: boolean = false;
  /** The scenario has ended, and the hosts are being ended. */
  #ending: boolean = false;
  #failure: { readonly error: unknown } | null = null;
  #onFailure: (error: unknown) => void = () => {};
  #grace: NodeJS.Timeout | null = null;
  #computeLimitMs: number;
  readonly #capture: Capture | null;
  readonly #traceFile: WorldTraceFile | null;

  /** Use `simulate()`. @internal */
  constructor(settings: WorldSettings) {
    super();
    const timeline = this._timeline;
    this.#settings = settings;
    this.seed = settings.seed;
    this.#random = new Random(settings.seed);
    this._trace = new WorldTrace(timeline, settings.trace !== false);
    if (settings.trace !== false) this._fabric.taps.push(this._trace.tap);
    this.#hostWorld = {
      debug: settings.debug,
      cleanupLimit: settings.cleanupLimit,
      tell: (host, kind, label) => this._trace.tell(host, kind, label),
      loopMade: (host, loop) => this.#loopMade(host, loop),
      report: (host, context) => this.#report(host, context),
      fail: (error) => this.fail(error),
      checkOpen: () => this.#checkOpen(),
    };
    this.dns = new Dns({
      addressesOf: (name) => this.#names.get(name)?.addresses ?? null,
      nameOf: (address) => this._fabric.hostOf(address)?.name ?? null,
      tell: (label) => this.#tellFault(label),
      draw: (seconds) => drawOf('seconds', seconds, this._fork('dns')),
      checkOpen: () => this.#checkOpen(),
    });
    const capture = settings.pcap === null ? null : new Capture(settings.pcap);
    this.#capture = capture;
    if (capture !== null)
      this._fabric.taps.push((packet) => capture.add(settings.epoch, timeline.time(), packet));
    this.#traceFile = settings.traceFile === null ? null : new WorldTraceFile(settings.traceFile);
    this.#scenarioHost = this.#newHost(SCENARIO, []);
    this.#computeLimitMs = settings.realTimeLimit * 1000;
    timeline.outside = runOutside;
    watchInvariants(timeline, (error) => this.fail(error));
    timeline.limit = settings.timeLimit;
    timeline.onLimit = () => this.fail(this.#limitError());
    timeline.onIdle = () => this.#idle();
    timeline.onCall = () => this.#checkComputed();
  }

  /** Returns the seconds since the beginning of the simulation. */
  time(): number {
    return this._timeline.time();
  }

  /** Returns a random number from 0 to 1, without 1, that follows from the seed. */
  random(): number {
    return this.#random.next();
  }

  // --- hosts ---

  /**
   * Makes a host.
   *
   * @param name every other host can look it up
   * @throws RangeError if another host has the name or an address, or if no look-up could find the name,
   *   because it is an address or `localhost`
   */
  host(name: string, options: HostOptions = {}): Host {
    checkOptions('options', options, ['addresses']);
    this.#checkOpen();
    checkHostName(name);
    if (this.#names.has(name.toLowerCase()))
      throw outOfRange('name', name, 'a name that no other host of this world has');
    return this.#newHost(name, this.#addresses(options.addresses));
  }

  /** The hosts in the order in which they were made. */
  get hosts(): readonly Host[] {
    return [...this.#hosts.values()];
  }

  #newHost(name: string, addresses: readonly string[]): Host {
    const sim = new SimHost(name, addresses, this._timeline, this.#random.fork(`host ${name}`));
    sim.epoch = this.#settings.epoch;
    const kernel = new Kernel(sim, this._fabric);
    kernel.machine.names.world = this.dns._names;
    const host = new Host(kernel, this.#hostWorld);
    if (name === SCENARIO) return host;
    this.#hosts.set(name, host);
    this.#names.set(name.toLowerCase(), host);
    return host;
  }

  #addresses(given: readonly string[] | undefined): readonly string[] {
    if (given === undefined) return this.#nextAddresses();
    if (!Array.isArray(given)) throw invalidArgType('options.addresses', given, 'an array of addresses');
    const addresses = given.map((address, i) => checkedAddress(`options.addresses[${i}]`, address));
    for (const [i, address] of addresses.entries()) {
      const owner =
        this._fabric.hostOf(address)?.name ?? (addresses.indexOf(address) < i ? 'this host' : null);
      if (owner !== null) {
        const accepted = `an address that no host has, but ${owner} has it`;
        throw outOfRange(`options.addresses[${i}]`, address, accepted);
      }
    }
    return addresses;
  }

  #nextAddresses(): readonly string[] {
    for (let number = this.#hosts.size + 1; number <= MAX_HOSTS; number++) {
      const last = number & 255;
      // The first and the last number of a network name no host.
      if (last === 0 || last === 255) continue;
      const addresses = [`10.0.${number >> 8}.${last}`, `fd00::${number.toString(16)}`];
      if (addresses.every((address) => this._fabric.hostOf(address) === null)) return addresses;
    }
    throw outOfRange(
      'hosts',
      this.#hosts.size,
      `at most ${MAX_HOSTS} of a world without addresses of their own`,
    );
  }

  /** Returns the sockets of all hosts as text, in the columns of `netstat -an` of Linux. */
  netstat(): string {
    return this.hosts.map((host) => `host ${host.name}\n${host.netstat()}`).join('\n\n');
  }

  // --- faults ---

  /** @internal */
  override _hostsOf(name: string, value: unknown): HostSet {
    if (value === null) return { text: '*', has: () => true };
    const hosts = (Array.isArray(value) ? value : [value]).map((one: unknown) => this.#hostOf(name, one));
    if (hosts.length === 0) throw outOfRange(name, value, 'one host at least');
    const kernels = new Set(hosts.map((host) => host._kernel.host));
    return { text: hosts.map((host) => host.name).join(', '), has: (host) => kernels.has(host) };
  }

  #hostOf(name: string, value: unknown): Host {
    const host = typeof value === 'string' ? this.#hosts.get(value) : value;
    if (typeof value !== 'string' && !(value instanceof Host))
      throw invalidArgType(name, value, 'a host, the name of a host, or an array of them');
    if (!(host instanceof Host) || this.#hosts.get(host.name) !== host) {
      const names = [...this.#hosts.keys()].join(', ');
      throw outOfRange(name, value, `a host of this world (${names === '' ? 'it has none' : names})`);
    }
    return host;
  }

  /** @internal */
  override _begin(rule: Rule): Fault {
    this.#checkOpen();
    const remove = this._fabric.addRule(rule);
    this.#tellFault(`begins: ${rule.text}`);
    return new Fault(rule.text, () => {
      remove();
      this.#tellFault(`ends: ${rule.text}`);
    });
  }

  /** @internal */
  override _ask<R>(name: string, fn: () => R): R | null {
    try {
      return this.#scenarioHost.enter(fn);
    } catch (error) {
      const text = `${name} failed: ${String(error)}`;
      this.fail(new SimulationError('ERR_SIMULATION_UNHANDLED', text, { cause: error }));
      return null;
    }
  }

  #tellFault(label: string): void {
    if (!this.#ended) this._trace.tell('', 'fault', label);
  }

  /** @internal */
  override _fork(label: string): Random {
    const count = (this.#forks.get(label) ?? 0) + 1;
    this.#forks.set(label, count);
    return this.#random.fork(`${label} ${count}`);
  }

  // --- the life of a world ---

  /** Runs the scenario, and ends every host. @internal */
  async _run<T>(scenario: (world: World) => PromiseLike<T>): Promise<Outcome<T>> {
    this._timeline.enter();
    const outcome = await new Promise<Outcome<T>>((resolve) => {
      const fail = (error: unknown): void => {
        this._netstat ??= this.netstat();
        resolve({ error });
      };
      this.#onFailure = fail;
      void this.#scenarioHost
        .run(() => scenario(this), { name: 'scenario' })
        .then((value) => resolve({ value }), fail);
    });
    await this.#nextStep();
    await this.#endHosts();
    this._timeline.leave();
    return this.#failure === null || 'error' in outcome ? outcome : this.#failure;
  }

  /** Makes the simulation fail. The first failure counts. @internal */
  fail(error: unknown): void {
    if (this.#ended) return;
    if (this.#failure !== null) {
      this.#report('', { message: 'another failure of the simulation', exception: error });
      return;
    }
    this.#failure = { error };
    this.#onFailure(error);
  }

  /** Returns true after the end of the simulation. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The host reports an unhandled rejection after the microtasks of the step in which it happens. */
  #nextStep(): Promise<void> {
    return new Promise((resolve) => this._timeline.soon(resolve));
  }

  async #endHosts(): Promise<void> {
    this.#ending = true;
    this._timeline.limit = Number.POSITIVE_INFINITY;
    this.#computeLimitMs = Math.max(
      this.#computeLimitMs,
      this._timeline.computedMs + REAL_CLEANUP_SECONDS * 1000,
    );
    const hosts = [this.#scenarioHost, ...this.#hosts.values()];
    await Promise.all(hosts.map((host) => host._stop('the simulation has ended')));
    await this.#nextStep();
    this.#ended = true;
    for (const host of hosts) host._end();
    if (this.#grace !== null) hostClearTimeout(this.#grace);
  }

  /** @internal */
  _closeFiles(): void {
    this.#capture?.close();
    this.#traceFile?.finish(this._trace.entries);
  }

  /** The state of the world, for the report of a failure. @internal */
  _programs(): readonly Program[] {
    return [this.#scenarioHost, ...this.#hosts.values()].flatMap((host) => host._programs);
  }

  /** Returns what each task of each host waits for, as text. @internal */
  _waits(): string {
    const hosts = [this.#scenarioHost, ...this.#hosts.values()];
    return hosts.map(describeHost).join('\n');
  }

  #idle(): void {
    if (this.#failure !== null || this.#ending) return;
    const { steps } = this._timeline;
    if (this.#grace !== null) hostClearTimeout(this.#grace);
    this.#grace = runOutside(() => hostSetTimeout(() => this.#stillIdle(steps), this._graceMs));
  }

  #stillIdle(steps: number): void {
    this.#grace = null;
    if (this.#ended || this._timeline.steps !== steps || this._timeline.held > 0) return;
    const error = new SimulationError(
      'ERR_SIMULATION_DEADLOCK',
      `nothing can run any more at ${this.time()} s, but the scenario has not ended. The tasks wait for:\n${this._waits()}`,
    );
    this.fail(error);
  }

  #limitError(): SimulationError {
    const { timeLimit } = this.#settings;
    return new SimulationError(
      'ERR_SIMULATION_TIME_LIMIT',
      `the scenario has not ended after ${timeLimit} s of the world. The tasks wait for:\n${this._waits()}`,
    );
  }

  #checkComputed(): void {
    if (this.#ended || this._timeline.computedMs <= this.#computeLimitMs) return;
    if (this.#ending) {
      for (const host of [this.#scenarioHost, ...this.#hosts.values()]) host._end();
      return;
    }
    const { realTimeLimit } = this.#settings;
    this.fail(
      new SimulationError(
        'ERR_SIMULATION_REAL_TIME',
        `the simulation has computed for ${realTimeLimit} s of the real clock, and has reached ${this.time()} s: ` +
          `raise realTimeLimit, or find what keeps it busy. The tasks wait for:\n${this._waits()}`,
      ),
    );
  }

  #loopMade(host: string, loop: SimulatedEventLoop): void {
    if (this.#settings.trace === 'loops')
      loop._scheduler.observer = (entry) => this._trace.loopEntry(host, entry);
    this._onLoop?.(host, loop);
  }

  #report(host: string, context: ExceptionContext): void {
    const report: HostReport = { host, message: context.message, exception: context.exception ?? null };
    this._reports.push(report);
    this._trace.tell(host, 'report', context.message);
    const { onReport } = this.#settings;
    if (onReport === null) {
      printException({ ...context, message: `on host ${host}: ${context.message}` });
      return;
    }
    try {
      onReport(report);
    } catch (error) {
      // The first failure counts, and the report of a later one must not fail again.
      if (this.#failure === null) this.fail(error);
    }
  }

  #checkOpen(): void {
    if (this.#ended)
      throw new SimulationError('ERR_SIMULATION_ENDED', 'the simulation of this world has ended');
  }
}

/** Throws if the caller is code of a simulation. */
export function checkOutside(): void {
  const place = currentPlace();
  if (place === null) return;
  throw new SimulationError(
    'ERR_SIMULATION_NESTED',
    `simulate() was called by code of ${place.where} of a simulation: make another host instead`,
  );
}

function describeHost(host: Host): string {
  const state = host.state === 'up' ? '' : ` (${host.state})`;
  const programs = host._programs.map((program) => {
    const waits = program.loops
      .flatMap(waitsOf)
      .map((line) => `\n      ${line.replaceAll('\n', '\n      ')}`);
    return `\n    program ${program.name}:${waits.length === 0 ? ' no task' : waits.join('')}`;
  });
  return `  host ${host.name}${state}${programs.length === 0 ? ': no program' : programs.join('')}`;
}
