import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { stat } from 'node:fs';
import type { BaseEventLoop, Future } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** Runs two tasks that wake each other until `enough()`. Neither ever waits for the host. */
function pingPong(loop: BaseEventLoop, enough: () => boolean): Promise<number> {
  let turns = 0;
  let ball: Future<void> = loop.createFuture();
  const player = async (serves: boolean): Promise<void> => {
    if (serves) {
      await sleep(0);
      ball.setResult();
    }
    while (!enough()) {
      const caught = ball;
      await caught;
      turns++;
      if (ball === caught) ball = loop.createFuture();
      const next = ball;
      await sleep(0);
      if (!next.done()) next.setResult();
    }
    if (!ball.done()) ball.setResult();
  };
  return loop
    .runUntilComplete(async () => {
      const other = loop.createTask(() => player(false));
      await player(true);
      await other;
    })
    .then(() => turns);
}

export function fairnessSuite(target: Target): void {
  // Virtual time stands still while anything is ready, so busy tasks would never reach a deadline in the
  // future.
  const soon = target.exact ? 0 : 0.003;

  section('Fairness', target, (test) => {
    test('call_later() is not starved by tasks that wake each other for ever', async ({ loop }) => {
      let timers = 0;
      const tick = (): void => {
        timers++;
        if (timers < 5) loop.callLater(soon, tick);
      };
      loop.callLater(soon, tick);
      const turns = await pingPong(loop, () => timers === 5);
      assert.equal(timers, 5);
      assert.ok(turns > 0);
    });

    test('create_task() tasks that wake each other for ever starve neither setImmediate() nor the I/O of the host', async ({
      loop,
    }) => {
      let immediates = 0;
      const immediate = (): void => {
        immediates++;
        if (immediates < 50) setImmediate(immediate);
      };
      setImmediate(immediate);
      let files = 0;
      const look = (): void => {
        stat('.', () => {
          files++;
          if (files < 5) look();
        });
      };
      look();
      let child = false;
      execFile(process.execPath, ['--version'], () => {
        child = true;
      });
      await pingPong(loop, () => immediates === 50 && files === 5 && child);
      assert.deepEqual([immediates, files, child], [50, 5, true]);
    });

    test('call_soon() in an endless chain starves neither timers nor the host', async ({ loop }) => {
      let timer = false;
      let immediate = false;
      let links = 0;
      loop.callLater(soon, () => {
        timer = true;
      });
      setImmediate(() => {
        immediate = true;
      });
      const link = (): void => {
        links++;
        if (timer && immediate) loop.stop();
        else loop.callSoon(link);
      };
      loop.callSoon(link);
      await loop.runForever();
      assert.ok(links > 0);
    });

    test('sleep() of zero gives every other task its turn', async ({ loop }) => {
      const log: string[] = [];
      const worker = async (name: string): Promise<void> => {
        for (let i = 1; i <= 3; i++) {
          log.push(`${name}${i}`);
          await sleep(0);
        }
      };
      await loop.runUntilComplete(async () => {
        const tasks = ['a', 'b', 'c'].map((name) => loop.createTask(() => worker(name)));
        for (const task of tasks) await task;
      });
      assert.deepEqual(log, ['a1', 'b1', 'c1', 'a2', 'b2', 'c2', 'a3', 'b3', 'c3']);
    });
  });
}
