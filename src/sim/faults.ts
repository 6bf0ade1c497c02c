/** The faults of a simulated network, as the methods of a world. */
import type { Packet } from '../backend/sim/fabric/packet.ts';
import type { CustomFate, HostSet, Route, Treatment } from '../backend/sim/fabric/rules.ts';
import {
  bandwidth,
  custom,
  cut,
  duplication,
  flapping,
  latency,
  loss,
  Rule,
  reordering,
} from '../backend/sim/fabric/rules.ts';
import type { Random } from '../backend/sim/random.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPort,
  checkString,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { Seconds } from './distribution.ts';
import { checkDuration, drawOf, exponential } from './distribution.ts';
import type { Host } from './host.ts';

/** One host or several, each as an object or by its name. */
export type Hosts = Host | string | readonly (Host | string)[];

/** Which packets a fault concerns. */
export interface FaultOptions {
  /** Only packets from the first hosts to the second. Default: false, so the answers are concerned, too. */
  oneWay?: boolean;
  /** Only TCP, or only UDP. Default: both. */
  protocol?: 'tcp' | 'udp';
  /** Only packets to this port, and their answers. Default: all ports. */
  port?: number;
}

export interface LossOptions extends FaultOptions {
  /** From 0 to 1: the share of the packets. */
  probability: number;
}

export interface ReorderOptions extends LossOptions {
  /** Seconds by which a packet is late at most. Default: 0.01. */
  spread?: number;
}

export interface BandwidthOptions extends FaultOptions {
  bytesPerSecond: number;
  /** Bytes that wait at most; packets that find more before them are dropped. Default: 1 MiB. */
  queueBytes?: number;
}

export interface PartitionOptions extends FaultOptions {
  /** Answers TCP with RST and UDP with ICMP, instead of losing the packets silently. Default: false. */
  refuse?: boolean;
}

export interface FlapOptions extends FaultOptions {
  /** Mean seconds for which the link works, and for which it is down; each time is drawn anew. */
  up: number;
  down: number;
}

export interface FirewallOptions {
  /** Default: every host. */
  from?: Hosts;
  protocol?: 'tcp' | 'udp';
  /** Default: all ports. */
  port?: number;
}

const ROUTE_OPTIONS = ['oneWay', 'protocol', 'port'];
const QUEUE_BYTES = 1_048_576;
const REORDER_SECONDS = 0.01;

/**
 * A fault that lasts until it is ended: by `using fault = …` at the end of the scope, or by {@link end}.
 */
export class Fault implements Disposable {
  /** The text in the trace: `client <-> server: latency 0.05 s`. */
  readonly description: string;
  #remove: (() => void) | null;

  /** @internal */
  constructor(description: string, remove: () => void) {
    this.description = description;
    this.#remove = remove;
  }

  /** True until the fault is ended. */
  get active(): boolean {
    return this.#remove !== null;
  }

  /** Ends the fault. A second call does nothing. */
  end(): void {
    const remove = this.#remove;
    this.#remove = null;
    remove?.();
  }

  /** Calls {@link end}. */
  [Symbol.dispose](): void {
    this.end();
  }
}

/**
 * The faults of a network. Each method begins one and returns it; it lasts until it is ended.
 *
 * A packet meets the faults from the newest to the oldest. A fault that drops it ends its way. Queues and
 * copies of several faults add up. If several latencies concern a packet, the newest counts: so a fault in a
 * scope replaces what is set around it, as a variable in a block does.
 *
 * The methods take the hosts first: none for every host, one for all packets from and to it, two for the
 * packets between them. The packets within one host are never concerned.
 */
export abstract class NetworkFaults {
  /** Returns the hosts that are meant. @internal */
  abstract _hostsOf(name: string, hosts: unknown): HostSet;
  /** Puts a rule into force. @internal */
  abstract _begin(rule: Rule): Fault;
  /** Returns a stream of random numbers of its own. @internal */
  abstract _fork(label: string): Random;
  /** Calls a function as code of the scenario. If it throws, the simulation fails. @internal */
  abstract _ask<R>(name: string, fn: () => R): R | null;
  /** Returns the time in seconds. */
  abstract time(): number;

  /**
   * Sets the seconds that packets take. Without it: half a millisecond.
   *
   * TCP segments of one connection never overtake each other, whatever the distribution; datagrams do.
   *
   * @example
   * ```ts
   * import { simulate } from 'gyre/sim';
   *
   * await simulate({ seed: 1 }, async (world) => {
   *   const [a, b] = [world.host('a'), world.host('b')];
   *   world.latency({ min: 0.01, max: 0.03 });
   *   using slow = world.latency(a, b, 1.5);
   *   console.log(slow.description); // a <-> b: latency 1.5 s
   * });
   * ```
   */
  latency(seconds: LatencyOptions): Fault;
  latency(host: Hosts, seconds: LatencyOptions): Fault;
  latency(from: Hosts, to: Hosts, seconds: LatencyOptions): Fault;
  latency(...args: unknown[]): Fault {
    const value = args.at(-1);
    const draw = drawOf('seconds', value, this._fork('latency'), ROUTE_OPTIONS);
    return this.#begin('latency', args, latency(draw, describeSeconds(value as Seconds)));
  }

  /** Limits the bytes that a direction carries in a second. Each pair of hosts has a queue of its own. */
  bandwidth(bytesPerSecond: number | BandwidthOptions): Fault;
  bandwidth(host: Hosts, bytesPerSecond: number | BandwidthOptions): Fault;
  bandwidth(from: Hosts, to: Hosts, bytesPerSecond: number | BandwidthOptions): Fault;
  bandwidth(...args: unknown[]): Fault {
    const options = optionsOf(args, 'bytesPerSecond', ['queueBytes']);
    const { bytesPerSecond, queueBytes = QUEUE_BYTES } = options;
    checkInteger('bytesPerSecond', bytesPerSecond, 1, Number.MAX_SAFE_INTEGER);
    checkInteger('queueBytes', queueBytes, 0, Number.MAX_SAFE_INTEGER);
    return this.#begin('bandwidth', args, bandwidth(bytesPerSecond as number, queueBytes as number));
  }

  /** Loses a share of the packets. TCP sends them again. */
  loss(probability: number | LossOptions): Fault;
  loss(host: Hosts, probability: number | LossOptions): Fault;
  loss(from: Hosts, to: Hosts, probability: number | LossOptions): Fault;
  loss(...args: unknown[]): Fault {
    const { probability } = optionsOf(args, 'probability', []);
    return this.#begin('loss', args, loss(checkShare(probability), this._fork('loss')));
  }

  /** Delivers a share of the packets twice. TCP drops the copies. */
  duplication(probability: number | ReorderOptions): Fault;
  duplication(host: Hosts, probability: number | ReorderOptions): Fault;
  duplication(from: Hosts, to: Hosts, probability: number | ReorderOptions): Fault;
  duplication(...args: unknown[]): Fault {
    const { probability, spread = REORDER_SECONDS } = optionsOf(args, 'probability', ['spread']);
    checkDuration('spread', spread);
    const treatment = duplication(checkShare(probability), spread, this._fork('duplication'));
    return this.#begin('duplication', args, treatment);
  }

  /** Delays a share of the packets, so that later packets overtake them. TCP puts them in order again. */
  reordering(probability: number | ReorderOptions): Fault;
  reordering(host: Hosts, probability: number | ReorderOptions): Fault;
  reordering(from: Hosts, to: Hosts, probability: number | ReorderOptions): Fault;
  reordering(...args: unknown[]): Fault {
    const { probability, spread = REORDER_SECONDS } = optionsOf(args, 'probability', ['spread']);
    checkDuration('spread', spread);
    const treatment = reordering(checkShare(probability), spread, this._fork('reordering'));
    return this.#begin('reordering', args, treatment);
  }

  /**
   * Cuts the hosts off: of each other, or of every other host. Connections stay open, and find out as they
   * would on a real network: by a timeout, or never.
   *
   * @param hosts with only these, their packets among each other still arrive
   *
   * @example
   * ```ts
   * import { sleep } from 'gyre';
   * import { simulate } from 'gyre/sim';
   *
   * await simulate({ seed: 1 }, async (world) => {
   *   const [a, b, c] = [world.host('a'), world.host('b'), world.host('c')];
   *   {
   *     using cut = world.partition([a, b], c);
   *     await sleep(60);
   *     console.log(cut.active); // true
   *   }
   *   // The network is whole again.
   * });
   * ```
   */
  partition(hosts: Hosts, options?: PartitionOptions): Fault;
  partition(hosts: Hosts, others: Hosts, options?: PartitionOptions): Fault;
  partition(...args: unknown[]): Fault {
    const last = args.at(-1);
    const given = args.length > 1 && isOptions(last) ? args : [...args, {}];
    const options = optionsOf(given, '', ['refuse']);
    const { refuse = false } = options;
    checkBoolean('options.refuse', refuse);
    const text = refuse ? 'partition, refuses' : 'partition';
    return this.#begin('partition', given, cut(text, refuse as boolean));
  }

  /**
   * Loses all packets to hosts silently, as a firewall that drops: connects time out, and established
   * connections stall.
   */
  blackhole(hosts: Hosts, options: FirewallOptions = {}): Fault {
    return this.#firewall(hosts, options, cut('blackhole', false));
  }

  /**
   * Refuses all packets to hosts, as a firewall that rejects: connects fail at once with `ECONNREFUSED`, and
   * established connections are reset.
   */
  refuse(hosts: Hosts, options: FirewallOptions = {}): Fault {
    return this.#firewall(hosts, options, cut('refuses', true));
  }

  /** Makes a link work and fail in turn. The times follow from the seed; it begins with a working link. */
  flapping(options: FlapOptions): Fault;
  flapping(host: Hosts, options: FlapOptions): Fault;
  flapping(from: Hosts, to: Hosts, options: FlapOptions): Fault;
  flapping(...args: unknown[]): Fault {
    const { up, down } = optionsOf(args, '', ['up', 'down']);
    for (const [name, value] of Object.entries({ up, down })) {
      checkDuration(name, value);
      if (value === 0) throw outOfRange(name, value, 'more than 0 seconds');
    }
    const random = this._fork('flapping');
    let isDown = false;
    let until = this.time() + (up as number) * exponential(random);
    // The changes are found when a packet comes: an event for each of them would keep the world busy.
    const state = (): boolean => {
      for (const now = this.time(); until <= now; ) {
        isDown = !isDown;
        until += ((isDown ? down : up) as number) * exponential(random);
      }
      return isDown;
    };
    return this.#begin('flapping', args, flapping(state));
  }

  /**
   * Asks a function for the fate of each packet: to drop the third SYN, for example.
   *
   * @param name for the trace
   * @param decide called with each packet between two hosts, as code of the scenario. Returns `'drop'`,
   *   `'refuse'`, `{ delay }` in seconds on top of the latency, or null to leave the packet to the next
   *   fault. If it throws or returns something else, the simulation fails
   */
  rule(name: string, decide: (packet: Packet) => CustomFate): Fault {
    checkString('name', name);
    checkFunction('decide', decide);
    const everyone = this._hostsOf('hosts', null);
    const route: Route = { from: everyone, to: everyone, both: false, protocol: null, port: null };
    const ask = (packet: Packet): CustomFate =>
      this._ask(`rule ${name}`, () => checkedFate(name, decide(packet)));
    return this._begin(new Rule(route, custom(name, ask)));
  }

  #firewall(hosts: Hosts, options: FirewallOptions, treatment: Treatment): Fault {
    checkOptions('options', options, ['from', 'protocol', 'port']);
    const from = this._hostsOf('options.from', options.from ?? null);
    const to = this._hostsOf('hosts', hosts);
    return this._begin(new Rule({ ...routeOptions(options), from, to, both: false }, treatment));
  }

  /** @param args the hosts, and the value of the fault behind them */
  #begin(method: string, args: readonly unknown[], treatment: Treatment): Fault {
    const hosts = args.slice(0, -1);
    if (hosts.length > 2) throw invalidArgType('hosts', args, `at most two in ${method}()`);
    const options = routeOptions(args.at(-1));
    const from = this._hostsOf('hosts', hosts[0] ?? null);
    const to = hosts.length < 2 ? othersThan(from, hosts.length === 0) : this._hostsOf('others', hosts[1]);
    return this._begin(new Rule({ ...options, from, to }, treatment));
  }
}

/** For {@link NetworkFaults.latency}. */
export type LatencyOptions = number | (Exclude<Seconds, number> & FaultOptions);

function othersThan(hosts: HostSet, everyone: boolean): HostSet {
  return everyone ? hosts : { text: '*', has: (host) => !hosts.has(host) };
}

function routeOptions(value: unknown): Pick<Route, 'both' | 'protocol' | 'port'> {
  const options = isOptions(value) ? (value as FaultOptions) : {};
  const { oneWay = false, protocol = null, port = null } = options;
  checkBoolean('options.oneWay', oneWay);
  if (protocol !== null && protocol !== 'tcp' && protocol !== 'udp')
    throw outOfRange('options.protocol', protocol, "'tcp' or 'udp'");
  if (port !== null) checkPort('options.port', port);
  return { both: !oneWay, protocol, port };
}

/** Returns the options at the end of the arguments. A bare number is the field `short`. */
function optionsOf(
  args: readonly unknown[],
  short: string,
  fields: readonly string[],
): Record<string, unknown> {
  const value = args.at(-1);
  if (typeof value === 'number' && short !== '') return { [short]: value };
  if (!isOptions(value)) {
    throw invalidArgType('options', value, short === '' ? 'an object' : `a number (${short}) or an object`);
  }
  checkOptions('options', value, [...ROUTE_OPTIONS, ...fields, ...(short === '' ? [] : [short])]);
  return value as Record<string, unknown>;
}

/** Hosts are instances of a class, and options are plain objects. */
function isOptions(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function checkShare(value: unknown): number {
  const accepted = 'a number from 0 to 1';
  if (typeof value !== 'number') throw invalidArgType('probability', value, accepted);
  if (!(value >= 0 && value <= 1)) throw outOfRange('probability', value, accepted);
  return value;
}

function describeSeconds(value: Seconds): string {
  if (typeof value === 'number') return `${value} s`;
  if ('max' in value) return `${value.min} to ${value.max} s`;
  return `${value.distribution ?? 'normal'} of mean ${value.mean} s`;
}

function checkedFate(rule: string, fate: CustomFate): CustomFate {
  if (fate === null || fate === undefined || fate === 'drop' || fate === 'refuse') return fate;
  const name = `result of rule ${rule}`;
  if (typeof fate !== 'object' || !('delay' in fate))
    throw invalidArgType(name, fate, "'drop', 'refuse', { delay } or null");
  checkDuration(`${name}.delay`, fate.delay);
  return fate;
}
