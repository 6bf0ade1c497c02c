import { getRunningLoop, run, sleep } from 'gyre';

/** It tries each way to split a word into parts. A word of 60 letters has 2^59 ways. */
const NAME = /^(\w+\s?)*$/;

async function checkNames(names: string[]): Promise<boolean[]> {
  await sleep(0.01);
  return names.map((name) => NAME.test(name)); // holds the loop
}

await run(async () => {
  console.log(`process ${process.pid}`);
  const names = ['Ada Lovelace', `${'a'.repeat(60)}.`];
  await getRunningLoop().createTask(() => checkNames(names), { name: 'check names' });
});
