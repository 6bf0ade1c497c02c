import assert from 'node:assert/strict';
import type { BaseEventLoop } from '../../src/index.ts';
import { currentTask, getRunningLoop, sleep } from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function severalLoopsSuite(target: Target): void {
  section('Several loops in one thread', target, (test) => {
    test('run_forever() of several loops at once runs the callbacks and timers of each', async ({
      makeLoop,
    }) => {
      const log: string[] = [];
      const loops = ['a', 'b', 'c'].map((name) => [name, makeLoop()] as const);
      for (const [name, loop] of loops) {
        loop.callSoon(() => log.push(`${name} soon`));
        loop.callLater(0.002, () => {
          log.push(`${name} later`);
          loop.stop();
        });
      }
      await Promise.all(loops.map(([, loop]) => loop.runForever()));
      for (const [name] of loops) {
        assert.ok(
          log.indexOf(`${name} soon`) >= 0 && log.indexOf(`${name} soon`) < log.indexOf(`${name} later`),
        );
      }
      assert.equal(log.length, 6);
      for (const [, loop] of loops) loop.close();
    });

    test('get_running_loop() and current_task() return the loop and task of the running code, for any interleaving of loops', async ({
      makeLoop,
    }) => {
      const main = async (loop: BaseEventLoop): Promise<void> => {
        const task = currentTask();
        for (let i = 0; i < 20; i++) {
          assert.equal(getRunningLoop(), loop);
          assert.equal(currentTask(), task);
          await sleep(i % 3 === 0 ? 0.001 : 0);
          await Promise.resolve();
          loop.callSoon(() => {
            assert.equal(getRunningLoop(), loop);
            assert.equal(currentTask(), null);
          });
        }
      };
      await withLoop(makeLoop, (first) =>
        withLoop(makeLoop, (second) =>
          Promise.all([
            first.runUntilComplete(() => main(first)),
            second.runUntilComplete(() => main(second)),
          ]),
        ),
      );
    });

    test('stop() of one loop leaves the others running', async ({ loop, makeLoop }) => {
      await withLoop(makeLoop, async (other) => {
        const running = other.runForever();
        loop.stop();
        await loop.runForever();
        assert.deepEqual([loop.isRunning(), other.isRunning()], [false, true]);
        const log: string[] = [];
        other.callSoonThreadsafe(() => {
          log.push('goes on');
          other.stop();
        });
        await running;
        assert.deepEqual(log, ['goes on']);
      });
    });

    test('run_until_complete() can be called, and awaited, in another running loop', async ({
      loop,
      makeLoop,
    }) => {
      const answer = await loop.runUntilComplete(async () => {
        let inner = '';
        await withLoop(makeLoop, async (other) => {
          inner = await other.runUntilComplete(async () => {
            assert.equal(getRunningLoop(), other);
            await sleep(0.001);
            return 'inner';
          });
        });
        assert.equal(getRunningLoop(), loop);
        return inner;
      });
      assert.equal(answer, 'inner');
    });

    test('call_soon_threadsafe() hands work from one running loop to another', async ({ loop, makeLoop }) => {
      await withLoop(makeLoop, async (other) => {
        const running = other.runForever();
        const log: string[] = [];
        await loop.runUntilComplete(async () => {
          const done = loop.createFuture<string>();
          other.callSoonThreadsafe(async () => {
            log.push(getRunningLoop() === other ? 'in the other loop' : 'lost');
            await sleep(0.001);
            log.push(getRunningLoop() === other ? 'still there' : 'lost');
            loop.callSoonThreadsafe(() => done.setResult('back'));
          });
          log.push(await done);
          assert.equal(getRunningLoop(), loop);
        });
        other.callSoonThreadsafe(() => other.stop());
        await running;
        assert.deepEqual(log, ['in the other loop', 'still there', 'back']);
      });
    });

    test('close() of one loop while another runs ends only its own resources', async ({ loop, makeLoop }) => {
      const other = makeLoop();
      const reports: string[] = [];
      other.setExceptionHandler((_loop, { message }) => reports.push(message));
      other.createTask(() => sleep(1), { name: 'of the other' });
      await loop.runUntilComplete(async () => {
        await sleep(0);
        other.close();
        await sleep(0.001);
      });
      assert.deepEqual(reports, ['the event loop was closed, but task of the other was still not started']);
    });
  });
}
