import type { World, WorldTraceEntry } from '../../src/entry/sim.ts';
import { simulate } from '../../src/entry/sim.ts';
import { CancelledError, getRunningLoop, openConnection, sleep, startServer } from '../../src/index.ts';

/** Servers and clients under many faults, with everything that is left to chance. */
export async function cluster(world: World): Promise<void> {
  const servers = ['one', 'two', 'three'].map((name) => world.host(name));
  const clients = Array.from({ length: 3 }, (_, i) => world.host(`client ${i}`));
  world.latency({ mean: 0.02, deviation: 0.02, distribution: 'lognormal' });
  world.loss(0.02);
  world.reordering({ probability: 0.05, protocol: 'udp' });
  world.flapping('two', { up: 20, down: 2 });
  for (const server of servers) void server.run(serve, { name: 'server' });
  for (const client of clients) void client.run(() => work(world));
  await sleep(5);
  {
    using _ = world.partition('one', ['two', 'three']);
    using pause = servers[2]?.pause();
    void pause;
    await sleep(10);
  }
  servers[1]?.crash();
  await sleep(3);
  void servers[1]?.restart();
  await sleep(10);
}

async function serve(): Promise<void> {
  const loop = getRunningLoop();
  const server = await startServer(
    async (reader, writer) => {
      for await (const line of reader.lines()) writer.write(line);
      writer.close();
    },
    null,
    80,
  );
  await loop.createDatagramEndpoint(() => ({}), { localAddr: ['0.0.0.0', 80] });
  await server.serveForever();
}

async function work(world: World): Promise<void> {
  for (;;) {
    const name = ['one', 'two', 'three'][Math.floor(world.random() * 3)] as string;
    try {
      const [reader, writer] = await openConnection(name, 80);
      try {
        for (let i = 0; i < 5; i++) {
          writer.write(`${'x'.repeat(Math.floor(world.random() * 1000))}\n`);
          await reader.readline();
        }
      } finally {
        writer.close();
      }
    } catch (error) {
      if (error instanceof CancelledError) throw error;
      await sleep(world.random());
    }
  }
}

export async function clusterTrace(seed: number): Promise<readonly WorldTraceEntry[]> {
  const { trace } = await simulate({ seed, trace: 'loops', onReport: () => {} }, cluster);
  return trace;
}
