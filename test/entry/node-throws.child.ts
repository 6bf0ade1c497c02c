/** Listeners of a duplex that throw: who hears of it? Prints what happened as JSON. */
import { once } from 'node:events';
import { toDuplex } from '../../src/entry/node.ts';
import { getRunningLoop, Protocol, run } from '../../src/index.ts';
import { connectedPair, Recorder } from '../helpers/pairs.ts';

const uncaught: string[] = [];
const reported: string[] = [];
const read: string[] = [];
process.on('uncaughtException', (error) => uncaught.push(error.message));

await run(async () => {
  const loop = getRunningLoop();
  loop.setExceptionHandler((_loop, { message }) => reported.push(message));
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
  while (uncaught.length < 2) await new Promise((resolve) => setImmediate(resolve));
  peer.transport.write('second');
  await once(duplex, 'close');
  await peer.untilLost();
});
console.log(JSON.stringify({ uncaught, reported, read }));
