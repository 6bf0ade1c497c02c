/** UDP echo. */
import type { DatagramTransport, SocketAddress } from 'gyre';
import { DatagramProtocol, getRunningLoop, run } from 'gyre';
import { announce } from '../announce.ts';

class Echo extends DatagramProtocol {
  transport: DatagramTransport | null = null;

  override connectionMade(transport: DatagramTransport): void {
    this.transport = transport;
  }

  override datagramReceived(data: Buffer, address: SocketAddress): void {
    this.transport?.sendto(data, address);
  }
}

await run(async () => {
  const loop = getRunningLoop();
  const [transport] = await loop.createDatagramEndpoint(() => new Echo(), { localAddr: ['127.0.0.1', 0] });
  const [, port] = transport.getExtraInfo('sockname') as [string, number];
  announce(port);
  await loop.createFuture(); // until the process ends
});
