/**
 * Runs without root's rights: listens on the given path, and connects to a socket of root. Prints the errors.
 */
import { createServer } from 'node:net';
import { NodeEventLoop } from '../../../src/index.ts';

const [, , path = ''] = process.argv;
const roots = `${path}.roots`;
const server = createServer();
await new Promise<void>((resolve) => {
  server.listen(roots, resolve);
});
(await import('node:fs')).chmodSync(roots, 0o700);
process.setgid?.(65534);
process.setuid?.(65534);

const loop = new NodeEventLoop();
const told = (error: NodeJS.ErrnoException): [string, string] => [String(error.code), String(error.syscall)];
const result = await loop.runUntilComplete(async () => ({
  listen: await loop.createUnixServer(() => ({}), path).then(() => 'listens', told),
  connect: await loop.createUnixConnection(() => ({}), roots).then(() => 'connects', told),
}));
console.log(JSON.stringify(result));
loop.close();
server.close();
