/** Listeners of a duplex that throw: prints as JSON which handlers get the error. */
import { once } from 'node:events';
import { connectDuplex, toDuplex } from '../../src/entry/node.ts';
import { getRunningLoop, Protocol, run } from '../../src/index.ts';
import { connectedPair, portOf, Recorder } from '../helpers/pairs.ts';

const uncaught: string[] = [];
const reported: string[] = [];
const read: string[] = [];
process.on('uncaughtException', (error) => uncaught.push(error.message));

/** A write that waits for the connection completes once it is made, and `drain` is emitted. */
async function whileConnecting(): Promise<void> {
  const loop = getRunningLoop();
  const peer = new Recorder();
  const server = await loop.createServer(() => peer, '127.0.0.1', 0);
  const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', portOf(server)));
  duplex.write(Buffer.alloc(duplex.writableHighWaterMark, 'x'));
  duplex.once('drain', () => {
    throw new Error('thrown by a drain listener');
  });
  await peer.untilReceived(duplex.writableHighWaterMark);
  duplex.end('more');
  await peer.untilReceived(duplex.writableHighWaterMark + 4);
  duplex.resume();
  peer.transport.close();
  await once(duplex, 'close');
  await peer.untilLost();
  server.close();
}

await run(async () => {
  const loop = getRunningLoop();
  loop.setExceptionHandler((_loop, { message }) => reported.push(message));
  await whileConnecting();
  const peer = new Recorder();
  const { near } = await connectedPair(loop, new Protocol(), peer);
  const duplex = toDuplex(near);
  duplex.on('data', (data) => {
    read.push(String(data));
    if (read.length === 2) {
      peer.transport.writeEof();
      return;
    }
    duplex.setTimeout(1, () => {
      throw new Error('thrown by a timeout listener');
    });
    throw new Error('thrown by a data listener');
  });
  peer.transport.write('first');
  while (uncaught.length < 3) await new Promise((resolve) => setImmediate(resolve));
  peer.transport.write('second');
  await once(duplex, 'close');
  await peer.untilLost();
});
console.log(JSON.stringify({ uncaught, reported, read }));
