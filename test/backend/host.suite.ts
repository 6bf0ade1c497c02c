/**
 * What the pump relies on, for each backend: when the host calls, and what it has done before it does. The promise of the
 * contract stands here: code that a turn resumes runs before the next turn.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Backend } from '../../src/backend/backend.ts';

/** A backend that is started, and what it has called. */
class Started {
  readonly backend: Backend;
  readonly log: string[] = [];
  /** Done in each turn. */
  work: () => void = () => {};
  /** What the turns answer. */
  runs = true;
  turns = 0;
  #waiting: { turns: number; resolve: () => void } | null = null;

  constructor(backend: Backend) {
    this.backend = backend;
    this.start();
  }

  start(): void {
    this.backend.start(
      () => {
        this.turns++;
        this.log.push('turn');
        this.work();
        return this.runs;
      },
      () => {
        this.log.push('end');
        if (this.#waiting !== null && this.turns >= this.#waiting.turns) this.#waiting.resolve();
      },
    );
  }

  /** Waits for the end of a turn. */
  ended(turns: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { turns, resolve };
    });
  }
}

/** The host has nothing left that it could do at once. */
async function hostIsIdle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** @param skip why it cannot be had */
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
      'wake() brings one turn, however often it is asked for, and not from within the call',
      async (host) => {
        host.backend.wake();
        host.backend.wake();
        host.backend.wake();
        assert.equal(host.turns, 0);
        await hostIsIdle();
        assert.deepEqual(host.log, ['turn', 'end']);
      },
    );

    hostTest('without a wish there is no turn', async (host) => {
      await hostIsIdle();
      assert.deepEqual(host.log, []);
    });

    hostTest(
      'the end of a turn comes behind its microtasks and ticks, and before the next turn',
      async (host) => {
        host.work = () => {
          if (host.turns === 2) return;
          host.backend.wake();
          void (async () => {
            for (let i = 0; i < 20; i++) await Promise.resolve();
            host.log.push('microtasks');
            process.nextTick(() => {
              host.log.push('tick');
              void Promise.resolve()
                .then(() => {})
                .then(() => host.log.push('microtask of the tick'));
            });
          })();
        };
        host.backend.wake();
        await host.ended(2);
        assert.deepEqual(
          host.log.filter((word) => word !== 'tick' && word !== 'microtask of the tick'),
          ['turn', 'microtasks', 'end', 'turn', 'end'],
        );
      },
    );

    hostTest('a turn that has run nothing has its end, too', async (host) => {
      host.runs = false;
      host.work = () => {
        if (host.turns < 40) host.backend.wake();
      };
      host.backend.wake();
      await host.ended(40);
      assert.deepEqual(host.log, Array(40).fill(['turn', 'end']).flat());
    });

    hostTest('a microtask of the turn may ask for the next one', async (host) => {
      host.work = () => {
        if (host.turns < 3) void Promise.resolve().then(() => host.backend.wake());
      };
      host.backend.wake();
      await host.ended(3);
      assert.deepEqual(host.log, ['turn', 'end', 'turn', 'end', 'turn', 'end']);
    });

    hostTest('many turns in a row let the host do its own work in between', async (host) => {
      let immediates = 0;
      const immediate = (): void => {
        immediates++;
        if (immediates < 10) setImmediate(immediate);
      };
      setImmediate(immediate);
      host.work = () => {
        if (host.turns < 1000) host.backend.wake();
      };
      host.backend.wake();
      await host.ended(1000);
      assert.equal(immediates, 10);
    });

    hostTest('wakeAt() brings a turn at its moment or after, never before', async (host) => {
      for (const seconds of [0.0001, 0.0009, 0.001, 0.0021, 0.004]) {
        const when = host.backend.time() + seconds;
        let turnAt = 0;
        host.work = () => {
          turnAt = host.backend.time();
        };
        host.backend.wakeAt(when);
        await host.ended(host.turns + 1);
        assert.ok(turnAt >= when, `${when - turnAt} seconds early`);
      }
    });

    hostTest('wakeAt() for a moment that has passed brings a turn soon', async (host) => {
      host.backend.wakeAt(host.backend.time() - 5);
      await host.ended(1);
      host.backend.wakeAt(Number.NEGATIVE_INFINITY);
      await host.ended(2);
      assert.equal(host.turns, 2);
    });

    hostTest('wakeAt() replaces the earlier wish, by an earlier and by a later moment', async (host) => {
      const now = host.backend.time();
      const times: number[] = [];
      host.work = () => {
        times.push(host.backend.time());
      };
      host.backend.wakeAt(now + 3600);
      host.backend.wakeAt(now + 0.002);
      await host.ended(1);
      assert.ok((times[0] as number) >= now + 0.002 && (times[0] as number) < now + 3600);
      const then = host.backend.time();
      host.backend.wakeAt(then + 0.001);
      host.backend.wakeAt(then + 0.006);
      await host.ended(2);
      assert.ok((times[1] as number) >= then + 0.006);
      assert.equal(times.length, 2);
    });

    hostTest('wakeAt(Infinity) takes the wish back', async (host) => {
      const began = performance.now();
      host.backend.wakeAt(host.backend.time() + 0.002);
      host.backend.wakeAt(Number.POSITIVE_INFINITY);
      while (performance.now() - began < 8) await hostIsIdle();
      assert.deepEqual(host.log, []);
    });

    hostTest('wake() comes first where both are asked for', async (host) => {
      const when = host.backend.time() + 3600;
      let turnAt = when;
      host.work = () => {
        turnAt = host.backend.time();
        host.backend.wakeAt(Number.POSITIVE_INFINITY);
      };
      host.backend.wakeAt(when);
      host.backend.wake();
      await host.ended(1);
      assert.ok(turnAt < when);
    });

    hostTest(
      'after stop() there is no turn, though one was asked for; after start() there is',
      async (host) => {
        host.backend.wake();
        host.backend.wakeAt(host.backend.time());
        host.backend.stop();
        await hostIsIdle();
        assert.deepEqual(host.log, []);
        host.start();
        await hostIsIdle();
        assert.deepEqual(host.log, []);
        host.backend.wake();
        await host.ended(1);
        assert.deepEqual(host.log, ['turn', 'end']);
      },
    );

    hostTest('stop() at the end of a turn ends it for good', async (host) => {
      const { backend } = host;
      const log: string[] = [];
      backend.stop();
      backend.start(
        () => {
          log.push('turn');
          backend.wake();
          return true;
        },
        () => {
          log.push('end');
          backend.stop();
        },
      );
      backend.wake();
      await hostIsIdle();
      assert.deepEqual(log, ['turn', 'end']);
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
