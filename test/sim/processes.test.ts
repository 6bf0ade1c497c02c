import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from '../../src/entry/sim.ts';
import {
  createSubprocessExec,
  getRunningLoop,
  openConnection,
  PIPE,
  run,
  sleep,
  startServer,
} from '../../src/index.ts';

const seed = 1;

test('a host starts an installed program with arguments, environment and pipes', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    host.install('greet', async ({ argv, env, stdin, stdout, stderr }) => {
      await stdout.write(`${argv[1]} ${env.WORD} ${await stdin.text()}`);
      await stderr.write('a warning');
      return 3;
    });
    await host.run(async () => {
      const options = { stdin: PIPE, stdout: PIPE, stderr: PIPE, env: { WORD: 'big' } };
      const child = await createSubprocessExec('greet', ['hello'], options);
      const [out, err] = await child.communicate('world');
      assert.deepEqual([String(out), String(err), child.returncode], ['hello big world', 'a warning', 3]);
    });
  });
});

test('a process has a loop of its own, on its host', async () => {
  await simulate({ seed }, async (world) => {
    const [host, other] = [world.host('a'), world.host('b')];
    void other.run(async () => {
      const server = await startServer((_reader, writer) => writer.close(), null, 80);
      await server.serveForever();
    });
    const loops = new Set<unknown>();
    host.install('client', async () => {
      loops.add(getRunningLoop());
      const [reader, writer] = await openConnection('b', 80);
      await reader.read();
      writer.close();
      await writer.waitClosed();
      return await run(async () => {
        loops.add(getRunningLoop());
        await sleep(5);
        return 7;
      });
    });
    await host.run(async () => {
      loops.add(getRunningLoop());
      const child = await createSubprocessExec('client');
      assert.equal(await child.wait(), 7);
    });
    assert.equal(loops.size, 3);
  });
});

test('a process ends by its signal, without its cleanup, or cleans up if it handles it', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const events: string[] = [];
    host.install('worker', async ({ argv }) => {
      try {
        await sleep(3600);
      } finally {
        events.push(`${argv[1]} cleaned up`);
      }
    });
    await host.run(async () => {
      const killed = await createSubprocessExec('worker', ['killed']);
      await sleep(1);
      killed.kill();
      assert.equal(await killed.wait(), -9);
      const stopped = await createSubprocessExec('worker', ['stopped']);
      await sleep(1);
      stopped.terminate();
      assert.notEqual(await stopped.wait(), 0);
    });
    assert.deepEqual(events, ['stopped cleaned up']);
  });
});

test('process.exit() in a process gives its parent the exit code', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    host.install('worker', async () => {
      await sleep(1);
      process.exit(5);
    });
    const code = await host.run(async () => await (await createSubprocessExec('worker')).wait());
    assert.equal(code, 5);
  });
});

test('an exception of a process is its exit code and its stderr, not a failure of the simulation', async () => {
  const { reports } = await simulate({ seed, onReport: () => {} }, async (world) => {
    const host = world.host('a');
    host.install('throws', async () => {
      throw new RangeError('too much');
    });
    host.install('loses', async () => {
      void Promise.reject(new Error('lost'));
      await sleep(1);
    });
    await host.run(async () => {
      const first = await createSubprocessExec('throws', [], { stderr: PIPE });
      const [, text] = await first.communicate();
      assert.deepEqual([String(text), first.returncode], ['RangeError: too much\n', 1]);
      const second = await createSubprocessExec('loses');
      assert.equal(await second.wait(), 1);
    });
  });
  assert.match(String(reports[0]?.message), /unhandled rejection of task loses in program loses/);
});

test('a crash and a kill of the host end its processes', async () => {
  for (const how of ['crash', 'kill'] as const) {
    await simulate({ seed }, async (world) => {
      const host = world.host('a');
      const events: string[] = [];
      host.install('worker', async () => {
        try {
          await sleep(3600);
        } finally {
          events.push('cleaned up');
        }
      });
      void host.run(async () => {
        await (await createSubprocessExec('worker')).wait();
        events.push('waited');
      });
      await sleep(1);
      assert.deepEqual(host.programs, ['main', 'worker']);
      host[how]();
      assert.deepEqual(host.programs, []);
      await sleep(10);
      assert.deepEqual(events, [], how);
      void host.restart();
      assert.deepEqual(host.programs, ['main']);
    });
  }
});

test('a program that is not installed cannot be started', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    host.install('worker', () => {});
    assert.deepEqual([host.uninstall('worker'), host.uninstall('worker')], [true, false]);
    await host.run(async () => {
      await assert.rejects(createSubprocessExec('worker'), { code: 'ENOENT' });
    });
    assert.throws(() => host.install('worker', 5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});

test('the files of a host survive its crash', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    host.files.writeFileSync('/data', 'kept');
    host.crash();
    void host.restart();
    assert.equal(String(host.files.readFileSync('/data')), 'kept');
  });
});
