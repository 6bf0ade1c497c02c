/**
 * Takes over the connections of its descriptors 3 and 4, answers all data in capitals, and ends when both
 * have ended.
 */
import type { Protocol, Transport } from '../../../src/index.ts';
import { NodeEventLoop } from '../../../src/index.ts';

const loop = new NodeEventLoop();

async function serve(fd: number): Promise<void> {
  const ended = loop.createFuture<void>();
  let transport: Transport | null = null;
  const protocol: Protocol = {
    connectionMade: (made) => {
      transport = made;
    },
    dataReceived: (data) => transport?.write(String(data).toUpperCase()),
    eofReceived: () => undefined,
    connectionLost: () => ended.setResult(undefined),
  };
  await loop.connectAcceptedSocket(() => protocol, fd);
  await ended;
}

await loop.runUntilComplete(async () => {
  const both = [serve(3), serve(4)];
  for (const one of both) await one;
});
loop.close();
