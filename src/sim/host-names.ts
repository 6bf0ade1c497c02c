/** Checks the names and addresses that a scenario gives to its hosts. */
import { canonicalIPv6, literalFamily } from '../base/address.ts';
import { checkString, outOfRange } from '../base/validate.ts';

/** The host on which the scenario runs. */
export const SCENARIO = 'world';
/** `*` is every name in the faults of name servers, and `localhost` is the host that asks. */
const NO_NAME = /^$|^\*$|(^|\.)localhost$|\.$/;

/** Checks a name. @throws TypeError, RangeError if no look-up could find it, or if the scenario has it */
export function checkHostName(name: unknown): void {
  checkString('name', name);
  const key = (name as string).toLowerCase();
  if (NO_NAME.test(key) || literalFamily(key) !== 0)
    throw outOfRange(
      'name',
      name,
      'a name that a look-up finds: no address, not localhost, no dot at the end',
    );
  if (key === SCENARIO) throw outOfRange('name', name, "another one than 'world', where the scenario runs");
}

const WILDCARDS = ['0.0.0.0', '::'];

/** Returns an address in its canonical form. @throws TypeError, RangeError if no host can have it */
export function checkedAddress(name: string, address: unknown): string {
  checkString(name, address);
  const text = address as string;
  const family = literalFamily(text);
  const accepted = 'an IPv4 or IPv6 address of one host, without a zone';
  if (family === 0 || text.includes('%')) throw outOfRange(name, address, accepted);
  const literal = family === 6 ? canonicalIPv6(text) : text;
  const first = Number.parseInt(literal, family === 6 ? 16 : 10);
  const isGroup = family === 6 ? (first & 0xff00) === 0xff00 : first >= 224;
  const isLocal = family === 6 ? literal === '::1' : first === 127;
  if (isGroup || isLocal || WILDCARDS.includes(literal)) throw outOfRange(name, address, accepted);
  return literal;
}
