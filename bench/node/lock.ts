/** Node has no lock for one thread: this is the chain of promises that people write instead. */
import { measureCpu } from '../measure.ts';

class PromiseLock {
  #tail: Promise<void> = Promise.resolve();

  async acquire(): Promise<() => void> {
    const before = this.#tail;
    let release: () => void = () => {};
    this.#tail = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }
}

await measureCpu(async (operations) => {
  const lock = new PromiseLock();
  let done = 0;
  for (let i = 0; i < operations; i++) {
    const release = await lock.acquire();
    done += 1;
    release();
  }
  return done;
});
