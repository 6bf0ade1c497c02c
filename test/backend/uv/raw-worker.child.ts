/** A worker that has opened everything by the native part alone, and ignores its records. */
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { hostPass } from '../../helpers/host-pass.ts';
import { CONNECTED, RawAddon, RESOLVED } from './raw-addon.ts';

const raw = new RawAddon();
const { addon } = raw;
const any = addon.packAddress('127.0.0.1', 0, 0) as Uint8Array;
const listener = addon.tcpListen('127.0.0.1', 0, 0, 16, true, false);
const [, port] = addon.sockname(listener) as [string, number];
const near = addon.tcpConnect('127.0.0.1', port, 0, null, 0);
await raw.take(CONNECTED, near);
while (addon.tryWrite(near, Buffer.alloc(1_000_000)) > 0);
addon.write(near, Buffer.alloc(1_000_000), 0);
addon.shutdown(near);
addon.receiveStart(addon.datagram(2, any, null, false, false));
addon.pollOpen();
addon.spawn(['/bin/sleep'], ['sleep', '1'], [], null, new Int32Array(3).fill(-1), -1, -1, false);
// Records that were never taken, records that were never read, ids closed in time or too late, pending
// operations.
await raw.take(RESOLVED, addon.getnameinfo('127.0.0.1', 80, 0, 3));
await raw.take(RESOLVED, addon.getaddrinfo('127.0.0.1', '80', 0, 0, 0, 4));
for (let i = 0; i < 20; i++) {
  const id = addon.getaddrinfo('localhost', '80', 0, 0, 0, 0);
  if (i % 3 === 0) addon.forget(id);
  if (i % 5 === 0) await hostPass();
}
parentPort?.postMessage('all is open');
await delay(1_000_000);
