/** A queue with room for one item between two tasks: every put and every get may have to wait. */
import { gather, getRunningLoop, Queue, run } from 'gyre';
import { measureCpu } from '../measure.ts';

const body = async (operations: number): Promise<number> => {
  const loop = getRunningLoop();
  const queue = new Queue<number>(1);
  let got = 0;
  const produce = async (): Promise<void> => {
    for (let i = 0; i < operations; i++) await queue.put(i);
  };
  const consume = async (): Promise<void> => {
    for (let i = 0; i < operations; i++) {
      if ((await queue.get()) !== i) throw new Error('an item came out of order');
      got += 1;
    }
  };
  await gather(loop.createTask(produce), loop.createTask(consume));
  return got;
};

await run(() => measureCpu(body));
