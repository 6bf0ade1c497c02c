/** A program that is stuck in the way that its argument names. It prints `ready` when it is. */
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import {
  getRunningLoop,
  Lock,
  run,
  sleep,
  startServer,
  ThreadPoolExecutor,
  timeout,
} from '../../src/index.ts';

const ready = () => process.stdout.write('ready\n');

const ways: Record<string, () => Promise<void>> = {
  /** Two tasks that acquire two locks in opposite order. */
  async deadlock() {
    const [first, second] = [new Lock(), new Lock()];
    const taking = async (one: Lock, other: Lock) => {
      await one.acquire();
      await sleep(0);
      await other.acquire();
    };
    const left = getRunningLoop().createTask(() => taking(first, second), { name: 'left' });
    getRunningLoop().createTask(() => taking(second, first), { name: 'right' });
    await sleep(0.01);
    ready();
    await left;
  },

  /** A callback that never returns. */
  async held() {
    getRunningLoop().callLater(0.01, function reindex() {
      ready();
      for (;;);
    });
    await sleep(60);
  },

  /** A main thread in a call of the system. */
  async native() {
    getRunningLoop().callLater(0.01, () => {
      ready();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
    await sleep(60);
  },

  /** A server whose client never reads. */
  async clogged() {
    const server = await startServer(
      async (_reader, writer) => {
        for (;;) {
          writer.write(Buffer.alloc(1 << 20));
          await sleep(0);
          if (writer.transport.getWriteBufferSize() > 1 << 20) break;
        }
        ready();
        await sleep(60);
      },
      '127.0.0.1',
      0,
    );
    const [, port] = server.sockets.map((socket) => socket.getsockname())[0] as [string, number];
    const client = connect(port, '127.0.0.1');
    client.pause();
    await sleep(60);
  },

  /** A task that takes no notice of its cancel. */
  async deaf() {
    const task = getRunningLoop().createTask(() => new Promise<void>(() => {}), { name: 'deaf' });
    await sleep(0);
    task.cancel();
    ready();
    await sleep(60);
  },

  /** A pool whose threads all have long jobs, and more of them wait. */
  async pool() {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const jobs = Array.from({ length: 3 }, () =>
      pool.submit(function forever() {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      }, []),
    );
    await sleep(0.3);
    ready();
    await Promise.all(jobs);
  },

  /** A limit that is shorter than the work in it, again and again. */
  async short() {
    for (let asked = 0; ; asked++) {
      await timeout(0.001, () => sleep(60)).catch(() => {});
      if (asked === 6) ready();
    }
  },

  /** Tasks that the main function has forgotten. */
  async forgotten() {
    getRunningLoop().createTask(() => sleep(60), { name: 'heartbeat' });
    await sleep(0.01);
    ready();
    await sleep(60);
  },

  /** Nothing is wrong: a few tasks wait. A worker thread has a loop, too. */
  async idle() {
    if (process.argv[3] === 'worker') new Worker(new URL(import.meta.url), { argv: ['idle'] });
    const waits = ['fetch-a', 'fetch-b'].map((name) =>
      getRunningLoop().createTask(() => sleep(60), { name }),
    );
    await sleep(0.01);
    ready();
    await Promise.all(waits);
  },
};

await run(async () => await ways[process.argv[2] ?? 'idle']?.());
