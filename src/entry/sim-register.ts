/**
 * `gyre/sim/register`: prepares Node's functions for simulated hosts before any library is loaded.
 *
 * A simulation replaces functions such as `Date.now`, `crypto.randomUUID` and `dns.lookup` while it runs. A
 * library that has stored one of them at load, as `const { now } = Date` does, keeps the real one. With
 * `node --import gyre/sim/register`, or `import 'gyre/sim/register'` before all other imports, it stores a
 * function that goes to the world inside of a host, and is the real one everywhere else.
 *
 * Timers and sockets need no preparation: a library may have stored `setTimeout` or `net.connect` long
 * before.
 */
import { patchNode } from '../sim/foreign/index.ts';

patchNode();
