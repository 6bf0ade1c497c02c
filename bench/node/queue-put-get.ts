/**
 * Node has no queue that waits: this is the smallest one with room for one item, for one producer and one
 * consumer.
 */
import { measureCpu } from '../measure.ts';

class Slot<T> {
  #items: T[] = [];
  #wakeProducer: (() => void) | null = null;
  #wakeConsumer: (() => void) | null = null;

  async put(item: T): Promise<void> {
    while (this.#items.length > 0) {
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve;
      });
    }
    this.#items.push(item);
    this.#wakeConsumer?.();
    this.#wakeConsumer = null;
  }

  async get(): Promise<T> {
    while (this.#items.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve;
      });
    }
    const item = this.#items.pop() as T;
    this.#wakeProducer?.();
    this.#wakeProducer = null;
    return item;
  }
}

await measureCpu(async (operations) => {
  const slot = new Slot<number>();
  let got = 0;
  const produce = async (): Promise<void> => {
    for (let i = 0; i < operations; i++) await slot.put(i);
  };
  const consume = async (): Promise<void> => {
    for (let i = 0; i < operations; i++) {
      if ((await slot.get()) !== i) throw new Error('an item came out of order');
      got += 1;
    }
  };
  await Promise.all([produce(), consume()]);
  return got;
});
