/** Host names in ASCII, as the system, the DNS and certificates use them. */
import { literalFamily, splitZone } from './address.ts';

const BEYOND_ASCII = /[\u0080-\uffff]/;
/** Other ASCII characters have a meaning in a URL. */
const NAME = /^[-\w.*\u0080-\uffff]+$/;

/**
 * Converts a host name by the rules of URLs (UTS #46): `Bücher.example` becomes `xn--bcher-kva.example`, and
 * full-width dots become dots. An ASCII host is returned unchanged: an address, a name with underscores,
 * upper case, or the dot at the end of a complete name.
 *
 * @returns null if the host has no ASCII form
 */
export function asciiHost(host: string): string | null {
  if (!BEYOND_ASCII.test(host)) return host;
  // The zone is the name of an interface, which may have any characters.
  if (literalFamily(splitZone(host)[0]) === 6) return host;
  if (!NAME.test(host)) return null;
  try {
    return new URL(`ws://${host}`).hostname;
  } catch {
    return null;
  }
}
