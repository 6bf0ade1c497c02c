import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { simulate } from '../../src/entry/sim.ts';
import { createSubprocessExec, run, sleep } from '../../src/index.ts';

const seed = 1;

test('a listener of process.on() in a host gets the signals of its program only', async () => {
  const outside = process.listenerCount('SIGTERM');
  await simulate({ seed }, async (world) => {
    const [a, b] = [world.host('a'), world.host('b')];
    const serve = async (): Promise<string> => {
      const [name, signum] = (await once(process, 'SIGTERM')) as [string, number];
      await sleep(1);
      return `${name} ${signum}`;
    };
    const programs = [a.run(serve), b.run(serve)];
    await sleep(1);
    assert.equal(process.listenerCount('SIGTERM'), outside);
    a.signal('SIGTERM');
    assert.equal(await programs[0], 'SIGTERM 15');
    assert.deepEqual([a.programs, b.programs], [[], ['main']]);
  });
  assert.equal(process.listenerCount('SIGTERM'), outside);
});

test('a listener of process.on() takes a signal in place of run()', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const program = host.run(() =>
      run(async () => {
        let signals = 0;
        const onSignal = (): void => {
          signals++;
        };
        process.on('SIGINT', onSignal);
        await sleep(10);
        process.off('SIGINT', onSignal);
        return signals;
      }),
    );
    await sleep(1);
    host.signal('SIGINT');
    host.signal('SIGINT');
    assert.equal(await program, 2);
  });
});

test('process.kill() knows the programs of its host, and no other process', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    host.install('worker', () => sleep(3600).then(() => {}));
    const program = host.run(async () => {
      const child = await createSubprocessExec('worker');
      assert.equal(process.kill(child.pid, 0), true);
      process.kill(child.pid, 'SIGKILL');
      assert.equal(await child.wait(), -9);
      assert.throws(() => process.kill(child.pid), { code: 'ESRCH' });
      assert.throws(() => process.kill(process.ppid), { code: 'ESRCH' });
      assert.throws(() => process.kill(process.pid, 'SIGFOO'), { code: 'ERR_UNKNOWN_SIGNAL' });
      process.kill(process.pid, 'SIGUSR2');
      await sleep(1);
    });
    await assert.rejects(program, { message: 'program main of host a was ended by SIGUSR2' });
  });
});

test('process.abort() in a host ends its program', async () => {
  await simulate({ seed }, async (world) => {
    const program = world.host('a').run(async () => process.abort());
    await assert.rejects(program, { message: /ended by SIGABRT/ });
  });
});

test('process.pid in a host is the number of its program', async () => {
  const real = process.pid;
  const pids = async (): Promise<number[]> =>
    (
      await simulate({ seed }, async (world) => {
        const host = world.host('a');
        return [await host.run(async () => process.pid), await host.run(async () => process.pid)];
      })
    ).value;
  const first = await pids();
  assert.equal(new Set([...first, real]).size, 3);
  assert.deepEqual(await pids(), first);
  assert.equal(process.pid, real);
});

test('the exit listeners of a program are called at its end', async () => {
  const events: string[] = [];
  await simulate({ seed, onReport: () => {} }, async (world) => {
    const host = world.host('a');
    const watch = (name: string) => process.on('exit', (code) => events.push(`${name} ${code}`));
    await host.run(async () => {
      watch('returns');
      await sleep(1);
    });
    await host
      .run(async () => {
        watch('exits');
        process.exit(4);
      })
      .catch(() => {});
    await host
      .run(async () => {
        watch('throws');
        throw new Error('failed');
      })
      .catch(() => {});
    void host.run(async () => {
      watch('killed');
      await sleep(10);
    });
    await sleep(1);
    host.kill();
  });
  assert.deepEqual(events, ['returns 0', 'exits 4', 'throws 1']);
});

test('a program may handle its own uncaught errors', async () => {
  await simulate({ seed }, async (world) => {
    const errors = await world.host('a').run(async () => {
      const seen: string[] = [];
      process.on('uncaughtException', (error, origin) => seen.push(`${error.message} ${origin}`));
      process.nextTick(() => {
        throw new Error('thrown');
      });
      void Promise.reject(new Error('rejected'));
      await sleep(1);
      process.on('unhandledRejection', (reason) => seen.push(`${(reason as Error).message} alone`));
      void Promise.reject(new Error('again'));
      await sleep(1);
      return seen.sort();
    });
    assert.deepEqual(errors, ['again alone', 'rejected unhandledRejection', 'thrown uncaughtException']);
  });
});

test('process is the same before and after a simulation', async () => {
  const face = (): unknown[] => [
    ...['on', 'once', 'off', 'emit', 'exit', 'kill', 'abort', 'removeAllListeners'].map(
      (name) => (process as unknown as Record<string, unknown>)[name],
    ),
    Object.getOwnPropertyDescriptor(process, 'pid'),
    Object.getOwnPropertyNames(process).length,
    process.exitCode,
    process.eventNames().map((event) => process.listenerCount(event as string)),
  ];
  const before = face();
  await simulate({ seed }, async (world) => {
    await world.host('a').run(async () => {
      process.on('SIGHUP', () => {}).on('exit', () => {});
      process.removeAllListeners();
      process.exitCode = 7;
    });
  });
  assert.deepEqual(face(), before);
});
