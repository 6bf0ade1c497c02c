/**
 * A process that leaves everything open: stopped-and-closed.test.ts checks that it ends. `node exit.child.ts
 * stop|close`.
 */
import { connect } from 'node:net';
import { NodeEventLoop, Protocol, sleep } from '../../src/index.ts';
import { cloggedPair, portOf, Recorder, recorders } from '../helpers/pairs.ts';

const [, , ending] = process.argv;
const loop = new NodeEventLoop();
const reports: string[] = [];
loop.setExceptionHandler((_loop, { message }) => reports.push(message));

const told: string[] = [];
const pair = await loop.runUntilComplete(async () => {
  const server = await loop.createServer(() => new Recorder(), null, 0);
  await loop.createServer(() => new Protocol(), '127.0.0.1', 0, { startServing: false });
  const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', portOf(server));
  transport.pauseReading();
  // A foreign client that the system has accepted and gyre has not.
  connect(portOf(server), '127.0.0.1')
    .on('error', () => {})
    .unref();
  if (ending === 'close') {
    await cloggedPair(loop);
    // A connect in flight when the loop closes. A documentation address never answers, or the network refuses
    // at once.
    loop.createConnection(() => new Protocol(), '192.0.2.1', 80).catch(() => {});
    loop.createConnection(() => new Protocol(), 'no-such-name.invalid', 80).catch(() => {});
    loop.createServer(() => new Protocol(), ['127.0.0.1', '::1'], 0).catch(() => {});
  }
  const both = await recorders(loop);
  await sleep(0);
  return both;
});
for (const side of [pair.near, pair.far]) {
  for (const method of ['dataReceived', 'eofReceived', 'connectionLost', 'resumeWriting'] as const) {
    side[method] = () => told.push(method) as never;
  }
}
if (ending === 'close') loop.close();
process.on('exit', () => {
  console.log(JSON.stringify({ told, reports }));
});
