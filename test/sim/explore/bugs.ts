/** Small programs with a known bug each, and the same programs without it. */

import type { ExploreOptions, World } from '../../../src/entry/sim.ts';
import { invariant } from '../../../src/entry/sim.ts';
import { getRunningLoop, openConnection, Queue, sleep, startServer } from '../../../src/index.ts';

export interface Bug {
  readonly name: string;
  readonly options?: ExploreOptions;
  /** The failure. */
  readonly breaks: RegExp;
  scenario(isFixed: boolean): (world: World) => Promise<unknown>;
}

/** Waits for a job of the default executor. */
async function job(): Promise<void> {
  await getRunningLoop().runInExecutor(null, () => 0);
}

/** Two withdrawals read the balance, and write it after another await. */
const checkThenAct: Bug = {
  name: 'a check, and an act behind an await',
  breaks: /the balance is -60/,
  scenario: (isFixed) => (world) =>
    world.host('bank').run(async () => {
      let balance = 100;
      let last: Promise<void> = Promise.resolve();
      const withdraw = async (): Promise<void> => {
        if (balance < 80) return;
        await job();
        balance -= 80;
        invariant(balance >= 0, `the balance is ${balance}`);
      };
      const inTurn = (): Promise<void> => (last = last.then(withdraw));
      const second = async (): Promise<void> => {
        await sleep(0.02);
        await (isFixed ? inTurn() : withdraw());
      };
      await Promise.all([isFixed ? inTurn() : withdraw(), second()]);
    }),
};

/** A consumer checks the list, and the producer signals before the consumer waits. */
const lostWakeUp: Bug = {
  name: 'a wake-up that is lost',
  breaks: /nothing can run any more/,
  scenario: (isFixed) => (world) =>
    world.host('app').run(async () => {
      const items: string[] = [];
      let wake: (() => void) | null = null;
      const consumer = async (): Promise<string> => {
        while (items.length === 0) {
          if (!isFixed) await job();
          await new Promise<void>((resolve) => (wake = resolve));
        }
        return items.shift() as string;
      };
      const producer = async (): Promise<void> => {
        await sleep(0.05);
        items.push('item');
        wake?.();
      };
      await Promise.all([consumer(), producer()]);
    }),
};

/** A cancelled holder releases its permit twice. */
const doubleRelease: Bug = {
  name: 'a permit that a cancelled task releases twice',
  breaks: /there are 2 permits/,
  options: { faults: { cancels: ['worker'] } },
  scenario: (isFixed) => (world) =>
    world.host('app').run(async () => {
      let permits = 1;
      const release = (): void => {
        permits++;
        invariant(permits <= 1, `there are ${permits} permits`);
      };
      const work = async (): Promise<void> => {
        permits--;
        try {
          await sleep(1);
          if (!isFixed) release();
          await sleep(1);
        } catch (error) {
          if (!isFixed) release();
          throw error;
        } finally {
          if (isFixed) release();
        }
      };
      const task = getRunningLoop().createTask(work, { name: 'worker' });
      await task.catch(() => {});
    }),
};

/** A client numbers its questions, and takes the answers in the order in which they come. */
const unorderedReplies: Bug = {
  name: 'replies that come in another order',
  breaks: /the answers are second,first/,
  scenario: (isFixed) => async (world) => {
    void world.host('server').run(async () => {
      const server = await startServer(
        async (reader, writer) => {
          const question = String(await reader.readline()).trim();
          writer.write(`${question}\n`);
          writer.close();
        },
        null,
        80,
      );
      await server.serveForever();
    });
    await world.host('client').run(async () => {
      const answers: string[] = [];
      const ask = async (question: string, slot: number): Promise<void> => {
        const [reader, writer] = await openConnection('server', 80);
        writer.write(`${question}\n`);
        const answer = String(await reader.readline()).trim();
        writer.close();
        if (isFixed) answers[slot] = answer;
        else answers.push(answer);
      };
      await Promise.all([ask('first', 0), ask('second', 1)]);
      invariant(answers.join() === 'first,second', `the answers are ${answers.join()}`);
    });
  },
};

/** A client sends a request again when no answer comes, and the server executes it twice. */
const duplicatingRetry: Bug = {
  name: 'a retry that executes a request twice',
  breaks: /executed 2 times/,
  options: { faults: { datagrams: true } },
  scenario: (isFixed) => async (world) => {
    const executed: string[] = [];
    const server = world.host('server');
    void server.run(async () => {
      const loop = getRunningLoop();
      const requests = new Queue<[string, [string, number]]>();
      const [transport] = await loop.createDatagramEndpoint(
        () => ({
          datagramReceived: (data: Uint8Array, from: unknown) =>
            requests.putNowait([String(data), from as [string, number]]),
        }),
        { localAddr: ['0.0.0.0', 53] },
      );
      try {
        for (;;) {
          const [id, from] = await requests.get();
          if (!isFixed || !executed.includes(id)) executed.push(id);
          transport.sendto(`done ${id}`, from);
        }
      } finally {
        transport.close();
        await sleep(0.01);
      }
    });
    await world.host('client').run(async () => {
      let answered = false;
      const [transport] = await getRunningLoop().createDatagramEndpoint(
        () => ({
          datagramReceived: () => {
            answered = true;
          },
        }),
        { remoteAddr: [server.addresses[0] as string, 53] },
      );
      await sleep(0.1);
      for (let attempt = 0; attempt < 5 && !answered; attempt++) {
        transport.sendto('pay 10');
        await sleep(2);
      }
      transport.close();
      await sleep(0.01);
    });
    invariant(executed.length <= 1, `executed ${executed.length} times`);
  },
};

/** A parser that takes each chunk of a stream for a message. */
const chunkAsMessage: Bug = {
  name: 'a chunk that is taken for a message',
  breaks: /the message is "h/,
  scenario: (isFixed) => async (world) => {
    const server = world.host('server');
    void server.run(async () => {
      const listening = await startServer(
        (_reader, writer) => {
          writer.write('hello\n');
          writer.close();
        },
        null,
        80,
      );
      await listening.serveForever();
    });
    await world.host('client').run(async () => {
      const [reader, writer] = await openConnection('server', 80);
      const message = isFixed ? await reader.readline() : await reader.read(100);
      writer.close();
      invariant(String(message) === 'hello\n', `the message is ${JSON.stringify(String(message))}`);
    });
  },
};

export const bugs: readonly Bug[] = [
  checkThenAct,
  lostWakeUp,
  doubleRelease,
  unorderedReplies,
  duplicatingRetry,
  chunkAsMessage,
];
