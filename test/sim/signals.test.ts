import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from '../../src/entry/sim.ts';
import { getRunningLoop, run, sleep } from '../../src/index.ts';

const seed = 1;

test('SIGTERM cancels a program, which cleans up', async () => {
  const events: string[] = [];
  const { trace } = await simulate({ seed, trace: true }, async (world) => {
    const host = world.host('a');
    const program = host.run(async () => {
      try {
        await sleep(3600);
      } finally {
        await sleep(0.5);
        events.push(`cleaned up at ${world.time()}`);
      }
    });
    await sleep(1);
    host.signal('SIGTERM');
    await assert.rejects(program, { name: 'CancelledError', cause: 'SIGTERM' });
    events.push(`ended at ${world.time()}`);
  });
  assert.deepEqual(events, ['cleaned up at 1.5', 'ended at 1.5']);
  assert.ok(trace.some(({ kind, label }) => kind === 'signal' && label === 'SIGTERM to program main'));
});

test('a signal that ends a program which nobody awaits does not make the simulation fail', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    void host.run(() => sleep(3600));
    await sleep(1);
    host.signal('SIGTERM');
    await sleep(1);
    assert.deepEqual(host.programs, []);
  });
});

test('a handler of a loop gets the signal, and the program goes on', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const program = host.run(async () => {
      const loop = getRunningLoop();
      const reloaded = loop.createFuture<number>();
      loop.addSignalHandler('SIGHUP', () => reloaded.setResult(loop.time()));
      const at = await reloaded;
      await sleep(1);
      return at;
    });
    await sleep(5);
    host.signal('SIGHUP');
    assert.equal(await program, 5);
  });
});

test('SIGKILL, and a signal without a handler, end a program without its cleanup', async () => {
  for (const signal of ['SIGKILL', 'SIGUSR1', 12] as const) {
    await simulate({ seed }, async (world) => {
      const host = world.host('a');
      let cleaned = false;
      const program = host.run(async () => {
        try {
          await sleep(3600);
        } finally {
          cleaned = true;
        }
      });
      await sleep(1);
      host.signal(signal);
      await assert.rejects(program, {
        code: 'ERR_SIMULATION_PROGRAM_ENDED',
        message: `program main of host a was ended by ${signal === 12 ? 'SIGUSR2' : signal}`,
      });
      await sleep(1);
      assert.equal(cleaned, false);
    });
  }
});

test('a second SIGTERM ends a program whose cleanup takes long', async () => {
  await simulate({ seed, onReport: () => {} }, async (world) => {
    const host = world.host('a');
    const program = host.run(() =>
      run(async () => {
        try {
          await sleep(3600);
        } finally {
          await sleep(3600);
        }
      }),
    );
    await sleep(1);
    host.signal('SIGTERM');
    await sleep(10);
    host.signal('SIGTERM');
    await assert.rejects(program, { code: 'ERR_SIMULATION_PROGRAM_ENDED' });
    assert.equal(world.time(), 11);
  });
});

test('a signal to one program leaves the others alone', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const other = host.run(() => sleep(10, 'done'), { name: 'other' });
    void host.run(() => sleep(10), { name: 'one' });
    await sleep(1);
    host.signal('SIGKILL', 'one');
    assert.deepEqual(host.programs, ['other']);
    assert.equal(await other, 'done');
  });
});

test('a paused host gets the signal when it resumes', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const program = host.run(() => sleep(3600));
    await sleep(1);
    host.pause();
    host.signal('SIGTERM');
    await sleep(10);
    assert.deepEqual(host.programs, ['main']);
    host.resume();
    await assert.rejects(program, { name: 'CancelledError' });
    assert.equal(world.time(), 11);
  });
});

test('signal() rejects unknown signals and programs, and those that stop a program', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const range = { code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => host.signal('SIGSTOP'), range, 'without a program');
    void host.run(() => sleep(3600));
    assert.throws(() => host.signal('SIGFOO'), range);
    assert.throws(() => host.signal(0), range);
    assert.throws(() => host.signal({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => host.signal('SIGTERM', 'other'), { ...range, message: /runs \(main\)/ });
    assert.throws(() => host.signal('SIGSTOP'), { ...range, message: /pause\(\)/ });
    assert.throws(() => host.signal('SIGTSTP'), { ...range, message: /use pause\(\)/ });
    host.crash();
    assert.throws(() => host.signal('SIGTERM'), { code: 'ERR_SIMULATION_HOST_DOWN' });
  });
});
