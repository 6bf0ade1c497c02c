/** Run with `--test-udp-no-try-send`: sends datagrams, and prints the events and the received data. */
import { NodeEventLoop } from '../../../src/index.ts';
import { endAll, endpointPair } from '../../helpers/datagrams.ts';

const loop = new NodeEventLoop();
const result = await loop.runUntilComplete(async () => {
  const { near, far } = await endpointPair(loop);
  const { transport } = near;
  transport.setWriteBufferLimits({ high: 10_000, low: 2000 });
  for (let i = 0; i < 20; i++) transport.sendto(Buffer.alloc(1000));
  const sizeAfterSending = transport.getWriteBufferSize();
  const toldAfterSending = [...near.log];
  // The datagrams after one that cannot be sent are sent.
  transport.sendto(Buffer.alloc(70_000));
  transport.sendto('');
  transport.close();
  await near.untilLost();
  await far.untilReceived(21);
  const received = far.datagrams.map(({ length }) => length);
  await endAll(far);
  return {
    sizeAfterSending,
    toldAfterSending,
    near: near.log,
    codes: near.codes,
    received,
    sizeAtTheEnd: transport.getWriteBufferSize(),
  };
});
loop.close();
console.log(JSON.stringify(result));
