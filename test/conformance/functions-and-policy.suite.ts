import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { BaseEventLoop, EventLoopPolicy } from '../../src/index.ts';
import {
  DefaultEventLoopPolicy,
  getEventLoop,
  getEventLoopPolicy,
  getRunningLoop,
  newEventLoop,
  setEventLoop,
  setEventLoopPolicy,
  sleep,
} from '../../src/index.ts';
import { tsWorker } from '../helpers/typescript.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function functionsAndPolicySuite(target: Target): void {
  section('Event loop functions and policies', target, (test) => {
    /** Sets a policy whose loops are those of the backend, and removes it again. */
    const withPolicy = async (
      makeLoop: () => BaseEventLoop,
      body: (made: BaseEventLoop[]) => unknown,
    ): Promise<void> => {
      const made: BaseEventLoop[] = [];
      class Policy extends DefaultEventLoopPolicy {
        override newEventLoop(): BaseEventLoop {
          const loop = makeLoop();
          made.push(loop);
          return loop;
        }
      }
      setEventLoopPolicy(new Policy());
      try {
        await body(made);
      } finally {
        setEventLoopPolicy(null);
        for (const loop of made) loop.close();
      }
    };

    test('get_event_loop() makes a loop on the main thread at its first call, and returns it from then on', ({
      makeLoop,
    }) =>
      withPolicy(makeLoop, (made) => {
        const loop = getEventLoop();
        assert.equal(getEventLoop(), loop);
        assert.deepEqual(made, [loop]);
      }));

    test('get_event_loop() returns the running loop in callbacks and coroutines, even if another loop was set', ({
      loop,
      makeLoop,
    }) =>
      withPolicy(makeLoop, async () => {
        setEventLoop(makeLoop());
        const seen: BaseEventLoop[] = [];
        loop.callSoon(() => seen.push(getEventLoop()));
        await loop.runUntilComplete(async () => {
          seen.push(getEventLoop());
          await sleep(0);
          seen.push(getEventLoop());
        });
        assert.deepEqual(
          seen.map((one) => one === loop),
          [true, true, true],
        );
        assert.notEqual(getEventLoop(), loop);
        getEventLoop().close();
      }));

    test('set_event_loop() sets the result of get_event_loop(), and null removes it', ({ loop, makeLoop }) =>
      withPolicy(makeLoop, (made) => {
        setEventLoop(loop);
        assert.equal(getEventLoop(), loop);
        setEventLoop(null);
        assert.throws(() => getEventLoop(), { name: 'LoopError', code: 'ERR_NO_EVENT_LOOP' });
        assert.deepEqual(made, []);
      }));

    test('new_event_loop() returns another loop at each call, and sets none', ({ makeLoop }) =>
      withPolicy(makeLoop, (made) => {
        const first = newEventLoop();
        const second = newEventLoop();
        assert.notEqual(first, second);
        assert.deepEqual(made, [first, second]);
        assert.notEqual(getEventLoop(), first);
        assert.notEqual(getEventLoop(), second);
      }));

    test('get_event_loop_policy() returns one policy until set_event_loop_policy() replaces it, and null restores the default', () => {
      const first = getEventLoopPolicy();
      assert.ok(first instanceof DefaultEventLoopPolicy);
      assert.equal(getEventLoopPolicy(), first);
      const other = new DefaultEventLoopPolicy();
      setEventLoopPolicy(other);
      assert.equal(getEventLoopPolicy(), other);
      setEventLoopPolicy(null);
      assert.ok(getEventLoopPolicy() instanceof DefaultEventLoopPolicy);
      assert.notEqual(getEventLoopPolicy(), other);
      assert.notEqual(getEventLoopPolicy(), first);
    });

    test('set_event_loop_policy() accepts any object with the methods of get_event_loop(), set_event_loop() and new_event_loop()', ({
      loop,
    }) => {
      const calls: unknown[] = [];
      const policy: EventLoopPolicy = {
        getEventLoop: () => {
          calls.push('get');
          return loop;
        },
        setEventLoop: (given) => calls.push(['set', given]),
        newEventLoop: () => {
          calls.push('new');
          return loop;
        },
      };
      setEventLoopPolicy(policy);
      try {
        assert.equal(getEventLoop(), loop);
        setEventLoop(loop);
        assert.equal(newEventLoop(), loop);
      } finally {
        setEventLoopPolicy(null);
      }
      assert.deepEqual(calls, ['get', ['set', loop], 'new']);
    });

    test('get_event_loop() throws on a worker thread without set_event_loop()', async () => {
      const worker = tsWorker(new URL('./worker.child.ts', import.meta.url), target.backend);
      const [answer] = (await once(worker, 'message')) as [unknown];
      await worker.terminate();
      assert.deepEqual(answer, { before: 'ERR_NO_EVENT_LOOP', after: 'ran' });
    });

    test('get_running_loop() returns the loop in its callbacks and coroutines, and throws outside of them', async ({
      loop,
    }) => {
      const outside = { name: 'LoopError', code: 'ERR_NO_RUNNING_LOOP' };
      assert.throws(() => getRunningLoop(), outside);
      const seen: BaseEventLoop[] = [];
      loop.callSoon(() => seen.push(getRunningLoop()));
      loop.callLater(0, () => seen.push(getRunningLoop()));
      const running = loop.runUntilComplete(async () => {
        seen.push(getRunningLoop());
        await sleep(0.001);
        seen.push(getRunningLoop());
        await Promise.resolve();
        seen.push(getRunningLoop());
      });
      assert.throws(() => getRunningLoop(), outside);
      await running;
      assert.throws(() => getRunningLoop(), outside);
      assert.deepEqual(new Set(seen), new Set([loop]));
      assert.equal(seen.length, 5);
    });
  });
}
