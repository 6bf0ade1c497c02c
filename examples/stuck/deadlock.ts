import { gather, getRunningLoop, Lock, run, sleep } from 'gyre';

async function inBoth(first: Lock, second: Lock): Promise<void> {
  using _one = await first.acquire();
  await sleep(0.01);
  using _two = await second.acquire();
}

await run(async () => {
  const loop = getRunningLoop();
  const [stock, prices] = [new Lock(), new Lock()];
  const order = loop.createTask(() => inBoth(stock, prices), { name: 'order' });
  const report = loop.createTask(() => inBoth(prices, stock), { name: 'report' });
  await sleep(0.1);
  console.log(`process ${process.pid}`);
  await gather(order, report); // never ends
});
