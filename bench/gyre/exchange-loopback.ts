/** The exchange over the real loopback: 100 servers and 100 clients on one loop. */
import { run, sleep, taskGroup } from 'gyre';
import { HOSTS, send, serve } from '../exchange.ts';
import { measureCpu } from '../measure.ts';

const FIRST_PORT = 20_000 + (process.pid % 10_000);

const body = async (operations: number): Promise<number> => {
  const count = operations / 2 / HOSTS;
  await taskGroup(async (group) => {
    const servers = Array.from({ length: HOSTS }, (_, i) => FIRST_PORT + i);
    let listening = 0;
    const tasks = servers.map((port) => group.createTask(() => serve('127.0.0.1', port, () => listening++)));
    while (listening < HOSTS) await sleep(0);
    await Promise.all(servers.map((port) => send('127.0.0.1', port, count)));
    for (const task of tasks) task.cancel();
  });
  return operations;
};

await run(() => measureCpu(body));
