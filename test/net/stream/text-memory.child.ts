/**
 * Sends text while another part of the program transfers a small Buffer of its own: see given-away.test.ts.
 */
import { writeSync } from 'node:fs';
import { endpoint } from '../../helpers/datagrams.ts';
import { giveAway } from '../../helpers/give-away.ts';
import { makeLoop, recorders } from '../../helpers/pairs.ts';

const loop = makeLoop();
await loop.runUntilComplete(async () => {
  const { near, far } = await recorders(loop);
  const to = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
  const from = await endpoint(loop, {
    remoteAddr: to.transport.getExtraInfo('sockname') as [string, number],
  });
  near.transport.write('a string');
  near.transport.writelines([', and', ' lines']);
  from.transport.sendto(', and a datagram');
  try {
    giveAway(Buffer.from('mine').buffer);
  } catch {
    // Later versions of Node reject it.
  }
  await far.until(() => far.received >= 19);
  await to.untilReceived(1);
  // Node's own Buffers do not work any more.
  writeSync(1, new Uint8Array([...far.chunks, ...to.datagrams].flatMap((part) => [...part])));
  process.exit();
});
