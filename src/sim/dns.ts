/** The names of a simulated world: its hosts, and the answers of its name servers. */

import type { Draw } from '../backend/sim/fabric/rules.ts';
import type { NameAnswer, WorldNames } from '../backend/sim/machine/names.ts';
import { ANSWER_SECONDS } from '../backend/sim/machine/names.ts';
import { literalFamily } from '../base/address.ts';
import type { NameErrorCode } from '../base/name-error.ts';
import { checkOptions, checkString, invalidArgType, outOfRange } from '../base/validate.ts';
import type { Seconds } from './distribution.ts';
import { checkDuration } from './distribution.ts';
import { Fault } from './faults.ts';

/** The world, as its names see it. */
export interface NamedHosts {
  /** Returns the addresses of a host by its name in lower case, or null. */
  addressesOf(name: string): readonly string[] | null;
  /** Returns the name of the host that has an address, or null. */
  nameOf(address: string): string | null;
  tell(label: string): void;
  draw(seconds: unknown): Draw;
  checkOpen(): void;
}

export interface DnsRecordOptions {
  /** Seconds until the answer comes. Default: a millisecond. */
  delay?: number;
  /** The canonical name, for `AI_CANONNAME`. Default: the name. */
  canonname?: string;
}

const CODES: readonly NameErrorCode[] = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'];
/** For {@link Dns.fail}: every name. */
const EVERY_NAME = '*';

/**
 * The name servers of a world. Every host knows the names of all hosts without them; `set()` adds other
 * names.
 *
 * @example
 * ```ts
 * import { getRunningLoop } from 'gyre';
 * import { simulate } from 'gyre/sim';
 *
 * await simulate({ seed: 1 }, async (world) => {
 *   const client = world.host('client');
 *   world.dns.set('db.example', ['10.9.9.9']);
 *   using outage = world.dns.fail('*', 'EAI_AGAIN');
 *   const lookUp = () => client.run(async () => await getRunningLoop().getaddrinfo('db.example', 5432));
 *   console.log(await lookUp().catch((error) => error.code)); // EAI_AGAIN
 *   outage.end();
 *   console.log((await lookUp())[0]?.sockaddr); // [ '10.9.9.9', 5432 ]
 * });
 * ```
 */
export class Dns {
  readonly #hosts: NamedHosts;
  readonly #records: Map<string, NameAnswer> = new Map();
  /** The newest first. */
  readonly #failures: { readonly name: string; readonly code: NameErrorCode }[] = [];
  readonly #delays: Draw[] = [];

  /** Use `world.dns`. @internal */
  constructor(hosts: NamedHosts) {
    this.#hosts = hosts;
  }

  /**
   * Sets the addresses of a name, instead of what it had. It may also be the name of a host.
   *
   * @param addresses IPv4 and IPv6 literals, in the order of the answer
   */
  set(name: string, addresses: readonly string[], options: DnsRecordOptions = {}): void {
    this.#hosts.checkOpen();
    const key = keyOf('name', name);
    checkOptions('options', options, ['delay', 'canonname']);
    const { delay, canonname } = options;
    if (delay !== undefined) checkDuration('options.delay', delay);
    if (canonname !== undefined) checkString('options.canonname', canonname);
    if (!Array.isArray(addresses)) throw invalidArgType('addresses', addresses, 'an array of addresses');
    for (const [i, address] of addresses.entries()) {
      checkString(`addresses[${i}]`, address);
      if (literalFamily(address) === 0)
        throw outOfRange(`addresses[${i}]`, address, 'an IPv4 or IPv6 address');
    }
    this.#hosts.tell(`name ${key} has ${addresses.join(', ')}`);
    this.#records.set(key, {
      addresses: [...addresses],
      ...(delay === undefined ? {} : { delay }),
      ...(canonname === undefined ? {} : { canonname }),
    });
  }

  /** Removes what `set()` has set. Returns true if there was something. */
  delete(name: string): boolean {
    this.#hosts.checkOpen();
    const key = keyOf('name', name);
    if (!this.#records.delete(key)) return false;
    this.#hosts.tell(`name ${key} is removed`);
    return true;
  }

  /**
   * Makes look-ups fail, until the fault is ended.
   *
   * @param name `'*'`: every name, also of hosts
   * @param code `ENOTFOUND`: the name is unknown; `EAI_AGAIN`: no name server answers; `EAI_FAIL`
   */
  fail(name: string, code: 'ENOTFOUND' | 'EAI_AGAIN' | 'EAI_FAIL' = 'ENOTFOUND'): Fault {
    this.#hosts.checkOpen();
    const key = keyOf('name', name);
    if (!CODES.includes(code)) throw outOfRange('code', code, `one of ${CODES.join(', ')}`);
    const failure = { name: key, code };
    this.#failures.unshift(failure);
    return this.#fault(`dns of ${key}: ${code}`, () => remove(this.#failures, failure));
  }

  /** Makes every answer of the name servers take so many seconds, until the fault is ended. */
  delay(seconds: Seconds): Fault {
    this.#hosts.checkOpen();
    const draw = this.#hosts.draw(seconds);
    this.#delays.unshift(draw);
    return this.#fault('dns: delay', () => remove(this.#delays, draw));
  }

  /** The view of the hosts' kernels. @internal */
  readonly _names: WorldNames = {
    addressesOf: (name) => (this.#isAsked(name) ? null : this.#hosts.addressesOf(name)),
    nameOf: (address) => this.#hosts.nameOf(address),
    ask: (name) => this.#ask(name.replace(/\.$/, '')),
  };

  /** A host's name is in the table of every host, unless it was set or fails. */
  #isAsked(name: string): boolean {
    return this.#records.has(name) || this.#failureOf(name) !== null;
  }

  #ask(name: string): NameAnswer | null {
    const record = this.#records.get(name) ?? null;
    const code = this.#failureOf(name);
    const draw = this.#delays[0];
    const delay = draw === undefined ? (record?.delay ?? ANSWER_SECONDS) : draw();
    if (code !== null) return { addresses: [], delay, error: code };
    if (record !== null) return { ...record, delay };
    return draw === undefined ? null : { addresses: [], delay, error: 'ENOTFOUND' };
  }

  #failureOf(name: string): NameErrorCode | null {
    const failure = this.#failures.find((one) => one.name === name || one.name === EVERY_NAME);
    return failure?.code ?? null;
  }

  #fault(description: string, end: () => void): Fault {
    this.#hosts.tell(`begins: ${description}`);
    return new Fault(description, () => {
      end();
      this.#hosts.tell(`ends: ${description}`);
    });
  }
}

function keyOf(argument: string, name: unknown): string {
  checkString(argument, name);
  const key = (name as string).toLowerCase().replace(/\.$/, '');
  if (key === '') throw outOfRange(argument, name, 'a name');
  return key;
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}
