import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, test } from 'node:test';
import timers from 'node:timers';
import promises from 'node:timers/promises';
import { inHost } from './hosts.ts';

const realNow = performance.now.bind(performance);

describe('timers of Node inside a simulated host', () => {
  test('an hour of setTimeout passes at once, and the clocks show it', async () => {
    const started = realNow();
    await inHost(async () => {
      const since = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 3_600_000));
      assert.equal(Date.now() - since, 3_600_000);
      assert.equal(performance.now(), 3_600_000);
      assert.deepEqual(process.hrtime(), [3600, 0]);
      assert.equal(process.hrtime.bigint(), 3_600_000_000_000n);
    });
    assert.ok(realNow() - started < 60_000);
  });

  test('timers fire in order of deadline, then in order of their making', async () => {
    const log: unknown[] = [];
    await inHost(async () => {
      setTimeout(() => log.push('20'), 20);
      setTimeout((...args: number[]) => log.push(args), 10, 1, 2);
      setTimeout(() => log.push('10 again'), 10);
      setImmediate((arg: string) => log.push(arg), 'immediate');
      process.nextTick(() => log.push('tick'));
      await promises.setTimeout(30);
    });
    assert.deepEqual(log, ['tick', 'immediate', [1, 2], '10 again', '20']);
  });

  test('timers/promises, AbortSignal.timeout and a stored setTimeout are virtual, too', async () => {
    const stored = timers.setTimeout;
    await inHost(async () => {
      assert.equal(await promises.setTimeout(60_000, 'value'), 'value');
      assert.equal(Date.now(), Date.UTC(2026, 0, 1, 0, 1));
      await new Promise((resolve) => stored(resolve, 60_000));
      assert.equal(Date.now(), Date.UTC(2026, 0, 1, 0, 2));
      const signal = AbortSignal.timeout(60_000);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      assert.equal(Date.now(), Date.UTC(2026, 0, 1, 0, 3));
      assert.equal(signal.reason.name, 'TimeoutError');
      for await (const turn of promises.setInterval(60_000, 'turn')) {
        assert.equal(turn, 'turn');
        break;
      }
      assert.equal(Date.now(), Date.UTC(2026, 0, 1, 0, 4));
      assert.equal(await promises.setImmediate('now'), 'now');
      assert.equal(Date.now(), Date.UTC(2026, 0, 1, 0, 4));
    });
  });

  test('an aborted signal rejects the pending timers of timers/promises', async () => {
    await inHost(async () => {
      const since = Date.now();
      await assert.rejects(promises.setTimeout(60_000, 1, { signal: AbortSignal.timeout(10) }), {
        name: 'AbortError',
      });
      assert.equal(Date.now() - since, 10);
      const controller = new AbortController();
      const pending = promises.setImmediate(1, { signal: controller.signal });
      const later = promises.setTimeout(20, 'kept', { signal: AbortSignal.timeout(30) });
      await Promise.resolve();
      controller.abort();
      await assert.rejects(pending, { name: 'AbortError' });
      assert.equal(await later, 'kept');
      await promises.setTimeout(50);
      const waiting = promises.scheduler.wait(60_000, { signal: AbortSignal.timeout(10) });
      await assert.rejects(waiting, { name: 'AbortError' });
      const turns = promises.setInterval(60_000, 1, { signal: AbortSignal.timeout(10) });
      await assert.rejects(turns.next(), { name: 'AbortError' });
      const real = await new Promise((resolve) => setImmediate(resolve, 'immediates still work'));
      assert.equal(real, 'immediates still work');
    });
    assert.equal(await promises.setImmediate('outside, too'), 'outside, too');
  });

  test('a timer can be cleared, refreshed and closed as a real one', async () => {
    await inHost(async () => {
      const fired: string[] = [];
      const fire = (name: string) => () => fired.push(name);
      clearTimeout(setTimeout(fire('cleared at once'), 1));
      clearImmediate(setImmediate(fire('immediate cleared at once')));
      const immediate = setImmediate(fire('immediate cleared'));
      const later = setTimeout(fire('cleared'), 100);
      const number = setTimeout(fire('cleared by number'), 100);
      const closed = setTimeout(fire('closed'), 100);
      const disposed = setTimeout(fire('disposed'), 100);
      const refreshed = setTimeout(fire(`refreshed`), 100);
      await Promise.resolve();
      clearImmediate(immediate);
      await promises.setTimeout(50);
      clearTimeout(later);
      clearTimeout(Number(number));
      closed.close();
      disposed[Symbol.dispose]();
      assert.equal(refreshed.refresh(), refreshed);
      await promises.setTimeout(99);
      assert.deepEqual(fired, []);
      await promises.setTimeout(1);
      assert.deepEqual(fired, ['refreshed']);
      refreshed.refresh();
      await promises.setTimeout(100);
      assert.deepEqual(fired, ['refreshed', 'refreshed']);
      assert.equal(refreshed.unref().hasRef(), false);
      assert.equal(refreshed.ref().hasRef(), true);
      assert.equal(refreshed.constructor.name, 'Timeout');
    });
  });

  test('an interval goes on until it is cleared', async () => {
    await inHost(async () => {
      const times: number[] = [];
      await new Promise<void>((resolve) => {
        const interval = setInterval(() => {
          times.push(performance.now());
          if (times.length < 3) return;
          clearInterval(interval);
          resolve();
        }, 1000);
      });
      await promises.setTimeout(10_000);
      assert.deepEqual(times, [1000, 2000, 3000]);
    });
  });

  test('socket.setTimeout is virtual', async () => {
    await inHost(async () => {
      const socket = new Socket();
      await new Promise((resolve) => socket.setTimeout(60_000, () => resolve(null)));
      assert.equal(performance.now(), 60_000);
      socket.destroy();
    });
  });

  test('a loop of setImmediate does not stop time', async () => {
    await inHost(async () => {
      let done = false;
      setTimeout(() => {
        done = true;
      }, 1);
      while (!done) await promises.setImmediate();
      assert.ok(performance.now() >= 1 && performance.now() < 1.1);
    });
  });

  test('after the simulation a timer that is refreshed is a real one, and new timers are as before', async () => {
    const before = setTimeout(() => {}, 0);
    let fires = (): void => {};
    const fired = new Promise<void>((resolve) => {
      fires = resolve;
    });
    let timer: NodeJS.Timeout | undefined;
    await inHost(async () => {
      timer = setTimeout(() => fires(), 1);
    });
    assert.notEqual(Object.getPrototypeOf(timer), Object.getPrototypeOf(before));
    timer?.refresh();
    assert.equal(Object.getPrototypeOf(timer), Object.getPrototypeOf(before));
    await fired;
  });
});
