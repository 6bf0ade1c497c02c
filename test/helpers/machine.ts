/** For the `skip` of a test: the tools that this machine lacks. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

const addresses = Object.values(networkInterfaces()).flatMap((infos) =>
  (infos ?? []).map(({ address }) => address),
);

/** The reason why no test can use `::1`; false if they can. */
export const noIPv6: string | false = addresses.includes('::1')
  ? false
  : 'this machine has no IPv6 address of its own (::1)';

/** The reason why no test can have that many descriptors open; false if it can. */
export function tooFewDescriptors(count: number): string | false {
  if (process.platform !== 'linux') return false;
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return limit < count && `the test needs ${count} descriptors, and a process here may have ${limit}`;
}
