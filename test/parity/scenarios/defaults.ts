import { DEFAULT_BACKLOG } from '../../../src/base/constants.ts';
import { SimulatedEventLoop } from '../../../src/entry/sim.ts';
import {
  ALL_COMPLETED,
  allTasks,
  Barrier,
  BoundedSemaphore,
  Condition,
  currentTask,
  Event,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  gather,
  Lock,
  Queue,
  Semaphore,
  StreamReader,
  sleep,
  wait,
} from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** The default values of everything. */
export const scenario: Scenario = async (loop, log) => {
  log(`debug ${words(loop.debug)}`);
  log(`slow_callback_duration ${loop.slowCallbackDuration}`);
  log(`task factory ${words(loop.getTaskFactory())}`);
  log(`running ${words(loop.isRunning())}, closed ${words(loop.isClosed())}`);
  log(`current task ${words(currentTask())}, all tasks ${allTasks(loop).size}`);

  const fresh = new SimulatedEventLoop();
  log(`exception handler ${words(fresh.getExceptionHandler())}`);
  fresh.close();
  fresh.close();
  log(`closed ${words(fresh.isClosed())}, running ${words(fresh.isRunning())}`);

  const queue = new Queue();
  log(
    `Queue maxsize ${queue.maxsize}, size ${queue.qsize()}, empty ${words(queue.empty())}, full ${words(queue.full())}`,
  );
  log(`Semaphore value ${await places(new Semaphore())}, locked ${words(new Semaphore().locked())}`);
  log(`BoundedSemaphore value ${await places(new BoundedSemaphore())}`);
  log(`Lock locked ${words(new Lock().locked())}, Condition locked ${words(new Condition().locked())}`);
  log(`Event set ${words(new Event().isSet())}`);
  const barrier = new Barrier(2);
  log(`Barrier parties ${barrier.parties}, waiting ${barrier.nWaiting}, broken ${words(barrier.broken)}`);
  log(`notify wakes ${await wakenByDefault()}`);
  log(`StreamReader limit ${await limitOfAReader()}`);
  log(`create_server backlog ${DEFAULT_BACKLOG}`);
  log(`constants ${FIRST_COMPLETED} ${FIRST_EXCEPTION} ${ALL_COMPLETED}`);

  await loop.runUntilComplete(async () => {
    const task = loop.createTask(async () => {});
    log(`cancelling ${task.cancelling()}`);
    log(`result of a task that returns nothing: ${words(await task)}`);
    log(`sleep gives ${words(await sleep(0))}`);
    log(`gather of nothing ${words(await gather())}`);
    const [done, pending] = await wait([task]);
    log(`wait gives ${done.size} done, ${pending.size} pending`);
  });

  /** A program of its own, so that the log has no turn of it. */
  async function aside<T>(body: () => Promise<T>): Promise<T> {
    using other = new SimulatedEventLoop();
    return await other.runUntilComplete(body);
  }

  function places(semaphore: Semaphore): Promise<number> {
    return aside(async () => {
      let count = 0;
      for (; !semaphore.locked(); count++) await semaphore.acquire();
      return count;
    });
  }

  function wakenByDefault(): Promise<number> {
    return aside(async () => {
      const condition = new Condition();
      let woken = 0;
      const waits = async (): Promise<void> => {
        using _guard = await condition.acquire();
        await condition.wait();
        woken++;
      };
      const waiters = [waits(), waits(), waits()];
      await sleep(0);
      using guard = await condition.acquire();
      condition.notify();
      guard[Symbol.dispose]();
      await sleep(1);
      const answer = woken;
      await condition.acquire();
      condition.notifyAll();
      condition.release();
      await Promise.all(waiters);
      return answer;
    });
  }

  function limitOfAReader(): Promise<number> {
    return aside(async () => new StreamReader().limit);
  }
};
