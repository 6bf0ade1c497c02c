/** Host names in ASCII: as the system, the DNS and certificates know them. */
import { literalFamily, splitZone } from './address.ts';

const BEYOND_ASCII = /[\u0080-\uffff]/;
/** A URL has a meaning for the rest of ASCII. */
const NAME = /^[-\w.*\u0080-\uffff]+$/;

/**
 * Converts a host by the rules of URLs (UTS #46): `Bücher.example` is `xn--bcher-kva.example`, full-width
 * dots are dots. A host that is ASCII already is answered as it is: an address, a name with underscores,
 * upper case, or the dot at the end of a complete name.
 *
 * @returns null for a host that has no such form
 */
export function asciiHost(host: string): string | null {
  if (!BEYOND_ASCII.test(host)) return host;
  // An interface may have any name.
  if (literalFamily(splitZone(host)[0]) === 6) return host;
  if (!NAME.test(host)) return null;
  try {
    return new URL(`ws://${host}`).hostname;
  } catch {
    return null;
  }
}
