/** The promises of each backend to the pump: when the host calls, and that it drains. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Backend, Turns } from '../../src/backend/backend.ts';

/** A started backend, and its calls. */
class Started implements Turns {
  readonly backend: Backend;
  /** Runs in each call. */
  work: () => void = () => {};
  calls = 0;
  deadline = Number.POSITIVE_INFINITY;
  #waiting: { calls: number; resolve: () => void } | null = null;

  constructor(backend: Backend) {
    this.backend = backend;
    backend.start(this);
  }

  run(): void {
    this.calls++;
    this.work();
    if (this.#waiting !== null && this.calls >= this.#waiting.calls) this.#waiting.resolve();
  }

  nextWhen(): number {
    return this.deadline;
  }

  /** Changes the earliest deadline. */
  setDeadline(when: number): void {
    this.deadline = when;
    this.backend.wakeAt(when);
  }

  called(times: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { calls: times, resolve };
      if (this.calls >= times) resolve();
    });
  }
}

/** Waits until the host has nothing left that it could do at once. */
async function hostIsIdle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** @param skip the reason why the backend is not available */
export function hostSuite(name: string, makeBackend: () => Backend, skip?: string): void {
  const hostTest = (title: string, body: (host: Started) => Promise<void>): void => {
    test(title, { skip: skip ?? false }, async () => {
      const backend = makeBackend();
      const host = new Started(backend);
      try {
        await body(host);
      } finally {
        backend.stop();
        backend.close();
      }
    });
  };

  describe(`host of the ${name} backend`, () => {
    hostTest(
      'wake() causes one call, for any number of requests, and never within wake() itself',
      async (host) => {
        host.backend.wake();
        host.backend.wake();
        host.backend.wake();
        assert.equal(host.calls, 0);
        await hostIsIdle();
        assert.equal(host.calls, 1);
      },
    );

    hostTest('a backend without a request makes no call', async (host) => {
      await hostIsIdle();
      assert.equal(host.calls, 0);
    });

    hostTest('drain() runs microtasks and ticks, and all that they add', async (host) => {
      const log: string[] = [];
      host.work = () => {
        if (host.calls > 1) return;
        void (async () => {
          for (let i = 0; i < 20; i++) await Promise.resolve();
          log.push('microtask');
          process.nextTick(() => {
            log.push('tick');
            void Promise.resolve().then(() => log.push('microtask of the tick'));
          });
        })();
        const resume = (): void => {
          log.push('resumed');
          host.backend.wake();
        };
        if (host.backend.drain(resume)) resume();
        else log.push('returned to the host');
      };
      host.backend.wake();
      await host.called(2);
      assert.deepEqual(
        log.filter((word) => word !== 'returned to the host'),
        ['microtask', 'tick', 'microtask of the tick', 'resumed'],
      );
    });

    hostTest('wake() within a call, and in a microtask of it, causes another call', async (host) => {
      host.work = () => {
        if (host.calls === 1) host.backend.wake();
        if (host.calls === 2) void Promise.resolve().then(() => host.backend.wake());
      };
      host.backend.wake();
      await host.called(3);
      await hostIsIdle();
      assert.equal(host.calls, 3);
    });

    hostTest('many calls in a row let the host do its own work between them', async (host) => {
      let immediates = 0;
      const immediate = (): void => {
        immediates++;
        if (immediates < 10) setImmediate(immediate);
      };
      setImmediate(immediate);
      host.work = () => {
        if (host.calls < 1000) host.backend.wake();
      };
      host.backend.wake();
      await host.called(1000);
      assert.equal(immediates, 10);
    });

    hostTest('a deadline causes a call at its time or later, never before', async (host) => {
      for (const seconds of [0.0001, 0.0009, 0.001, 0.0021, 0.004]) {
        const when = host.backend.time() + seconds;
        let calledAt = 0;
        host.work = () => {
          calledAt = host.backend.time();
          host.deadline = Number.POSITIVE_INFINITY;
        };
        host.setDeadline(when);
        await host.called(host.calls + 1);
        assert.ok(calledAt >= when, `${when - calledAt} seconds early`);
      }
    });

    hostTest('a deadline in the past causes a call soon', async (host) => {
      for (const when of [host.backend.time() - 5, Number.NEGATIVE_INFINITY]) {
        host.work = () => {
          host.deadline = Number.POSITIVE_INFINITY;
        };
        host.setDeadline(when);
        await host.called(host.calls + 1);
      }
      assert.equal(host.calls, 2);
    });

    hostTest('an earlier or later deadline replaces the previous one', async (host) => {
      const now = host.backend.time();
      const times: number[] = [];
      host.work = () => {
        if (host.backend.time() >= host.deadline) times.push(host.backend.time());
        if (times.length > 0) host.deadline = Number.POSITIVE_INFINITY;
        else host.backend.wakeAt(host.deadline);
      };
      host.setDeadline(now + 3600);
      host.setDeadline(now + 0.001);
      host.setDeadline(now + 0.002);
      while (times.length === 0) await host.called(host.calls + 1);
      assert.equal(times.length, 1);
      assert.ok((times[0] as number) >= now + 0.002 && (times[0] as number) < now + 3600);
    });

    hostTest('a deadline that is removed causes no call', async (host) => {
      const began = performance.now();
      host.setDeadline(host.backend.time() + 0.002);
      host.deadline = Number.POSITIVE_INFINITY;
      while (performance.now() - began < 8) await hostIsIdle();
      assert.equal(host.calls, 0);
    });

    hostTest('afterHostTimers() calls back after the due timers of the host', async ({ backend }) => {
      const log: string[] = [];
      // biome-ignore lint/style/noRestrictedGlobals: the order of the host's timers is the subject
      setTimeout(() => log.push('timer'), 2);
      for (const due = performance.now() + 2; performance.now() < due; );
      backend.afterHostTimers(() => log.push('after'));
      assert.deepEqual(log, []);
      await new Promise<void>((resolve) => backend.afterHostTimers(resolve));
      assert.deepEqual(log, name === 'sim' ? ['after'] : ['timer', 'after']);
    });

    hostTest('wake() causes a call before a deadline does', async (host) => {
      const when = host.backend.time() + 3600;
      let calledAt = when;
      host.work = () => {
        calledAt = host.backend.time();
        host.deadline = Number.POSITIVE_INFINITY;
      };
      host.setDeadline(when);
      host.backend.wake();
      await host.called(1);
      assert.ok(calledAt < when);
    });

    hostTest('stop() cancels a requested call, and start() allows it again', async (host) => {
      host.backend.wake();
      host.setDeadline(host.backend.time());
      host.backend.stop();
      await hostIsIdle();
      assert.equal(host.calls, 0);
      host.deadline = Number.POSITIVE_INFINITY;
      host.backend.start(host);
      await hostIsIdle();
      host.backend.wake();
      await host.called(1);
    });

    hostTest('stop() within a call ends all calls', async (host) => {
      host.work = () => {
        host.backend.wake();
        host.backend.stop();
      };
      host.backend.wake();
      await hostIsIdle();
      assert.equal(host.calls, 1);
    });

    hostTest('time() is monotonic, and has a resolution', async (host) => {
      const { backend } = host;
      assert.ok(backend.clockResolution > 0);
      let last = backend.time();
      for (let i = 0; i < 1000; i++) {
        const now = backend.time();
        assert.ok(now >= last);
        last = now;
      }
    });
  });
}
