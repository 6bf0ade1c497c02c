/** 100 simulated hosts, each of which exchanges messages with the next one over TCP. */
import { simulate } from 'gyre/sim';
import { HOSTS, send, serve } from '../exchange.ts';
import { measureCpu } from '../measure.ts';

const PORT = 7;

/** A message and its echo are two operations. */
const body = async (operations: number): Promise<number> => {
  const count = operations / 2 / HOSTS;
  await simulate({ seed: 1, node: false }, async (world) => {
    const hosts = Array.from({ length: HOSTS }, (_, i) => world.host(`host-${i}`));
    await Promise.all(
      hosts.map(
        (host) => new Promise<void>((resolve) => void host.run(() => serve(address(host), PORT, resolve))),
      ),
    );
    await Promise.all(
      hosts.map((host, i) => {
        const next = hosts[(i + 1) % HOSTS] as typeof host;
        return host.run(() => send(address(next), PORT, count));
      }),
    );
  });
  return operations;
};

function address({ addresses }: { addresses: readonly string[] }): string {
  return addresses[0] as string;
}

await measureCpu(body);
