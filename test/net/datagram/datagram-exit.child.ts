/** Leaves endpoints open, stops or closes its loop, and must then exit by itself. */
import { NodeEventLoop } from '../../../src/index.ts';
import { endpointPair, nodeSocket } from '../../helpers/datagrams.ts';

const ending = process.argv[2];
const loop = new NodeEventLoop();
loop.setExceptionHandler(() => {});
const sock = await nodeSocket();
await loop.runUntilComplete(async () => {
  const { near } = await endpointPair(loop);
  near.transport.sendto('x');
  await loop.createDatagramEndpoint(() => ({}), { sock });
});
if (ending === 'close') loop.close();
console.log(ending);
