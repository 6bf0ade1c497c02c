/** A program for Ctrl-C: `node runner.child.ts <scenario>`. Says "ready" when the signal may come. */
import { run, sleep } from '../src/index.ts';

const scenario = process.argv[2];
if (scenario === 'own listener') {
  process.on('SIGINT', () => {
    console.log('my own listener');
    process.exit(3);
  });
}

try {
  await run(async () => {
    try {
      console.log('ready');
      await sleep(3600);
    } finally {
      console.log('cleaning up');
      if (scenario === 'slow cleanup') await sleep(3600);
      await sleep(0.001);
      console.log('cleaned up');
    }
  });
} catch (error) {
  console.log(`${(error as Error).name}, ${(error as Error).cause}`);
}
console.log(`${process.listenerCount('SIGINT')} listeners left`);
