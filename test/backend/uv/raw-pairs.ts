/** Two handles of the native part that reach each other over this machine's own addresses. */
import type { Id } from '../../../src/backend/uv/addon.ts';
import type { RawAddon } from './raw-addon.ts';
import { ACCEPTED, CONNECTED } from './raw-addon.ts';

const AF_INET = 2;

/** Opens a listener, a connection to it, and the accepted side. */
export async function tcpPair(raw: RawAddon): Promise<{ listener: Id; port: number; near: Id; far: Id }> {
  const { addon } = raw;
  const listener = addon.tcpListen('127.0.0.1', 0, 0, 16, true, false);
  const [, port] = addon.sockname(listener) as [string, number];
  const near = addon.tcpConnect('127.0.0.1', port, 0, null, 0);
  await raw.take(CONNECTED, near);
  const far = (await raw.take(ACCEPTED, listener)).a;
  return { listener, port, near, far };
}

/** Opens an endpoint, and another that may send to its address. */
export function datagramPair({ addon }: RawAddon): { near: Id; far: Id; to: Uint8Array } {
  const anyPort = addon.packAddress('127.0.0.1', 0, 0) as Uint8Array;
  const far = addon.datagram(AF_INET, anyPort, null, false, false);
  const near = addon.datagram(AF_INET, null, null, false, false);
  const to = addon.packAddress(...(addon.sockname(far) as [string, number]), 0) as Uint8Array;
  return { near, far, to };
}
