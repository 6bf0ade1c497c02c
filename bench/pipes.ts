/**
 * Helpers of the programs `cat` of `gyre/`, `node/` and `bun/`. The twins are in `asyncio/cat.py` and
 * `libuv/cat.c`.
 */
import { median, operationsAsked, report, sizesAsked } from './measure.ts';
import { messageOf } from './message.ts';

const REPETITIONS = 5;

/**
 * Reports MB/s through a child: the median of several transfers. The first one is not timed, and compares
 * every byte. The others count the bytes.
 *
 * @param transfer starts the child, writes the message the given number of times, and passes on what comes
 * back until its end
 */
export async function measureTransfers(
  transfer: (message: Buffer, writes: number, onData: (data: Uint8Array) => void) => PromiseLike<void>,
): Promise<void> {
  const writes = operationsAsked();
  const [size = 0] = sizesAsked();
  const message = messageOf(size);
  const bytes = writes * size;

  const samples: number[] = [];
  for (let i = 0; i <= REPETITIONS; i++) {
    let received = 0;
    const begin = performance.now();
    await transfer(message, writes, (data) => {
      if (i === 0) compare(data, message, received);
      received += data.length;
    });
    if (received !== bytes) throw new Error(`${received} of ${bytes} bytes came back`);
    if (i > 0) samples.push(bytes / 1000 / (performance.now() - begin));
  }
  report(median(samples), {});
}

/** @param offset in the stream of messages */
function compare(data: Uint8Array, message: Buffer, offset: number): void {
  for (let done = 0; done < data.length; ) {
    const place = (offset + done) % message.length;
    const count = Math.min(message.length - place, data.length - done);
    if (message.compare(data, done, done + count, place, place + count) !== 0) {
      throw new Error('something else came back than was sent');
    }
    done += count;
  }
}
