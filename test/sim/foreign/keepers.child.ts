/** A host opens what keeps a process alive, and closes nothing. This process must end all the same. */
import { once } from 'node:events';
import fs from 'node:fs';
import { MessageChannel, Worker } from 'node:worker_threads';
import { simulate } from 'gyre/sim';

await simulate({ seed: 1 }, async (world) => {
  const { value } = await world.host('host').run(async () => {
    fs.watch(import.meta.dirname ?? '.');
    fs.watchFile('/', () => {});
    new BroadcastChannel('a channel').onmessage = () => {};
    const { port1, port2 } = new MessageChannel();
    const message = once(port2, 'message');
    port1.postMessage('a message');
    new Worker('setInterval(() => {}, 1000)', { eval: true });
    return { value: (await message)[0] };
  });
  console.log(value);
});
