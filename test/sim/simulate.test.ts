import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { World } from '../../src/entry/sim.ts';
import { SimulatedEventLoop, SimulationError, simulate } from '../../src/entry/sim.ts';
import {
  backendInfo,
  currentTask,
  getEventLoop,
  getEventLoopPolicy,
  getRunningLoop,
  newEventLoop,
  openConnection,
  run,
  sleep,
  startServer,
} from '../../src/index.ts';

/** A world that prints nothing. */
const quiet = { seed: 1, onReport: () => {} };

/** Starts an echo server of lines on port 7. */
async function echo(): Promise<void> {
  const server = await startServer(
    async (reader, writer) => {
      for await (const line of reader.lines()) {
        writer.write(line);
        await writer.drain();
      }
      writer.close();
    },
    null,
    7,
  );
  await server.serveForever();
}

/** Returns the error with which a simulation fails. */
async function failureOf(scenario: (world: World) => PromiseLike<unknown>, options = {}): Promise<Error> {
  return await simulate({ ...quiet, ...options }, scenario).then(
    () => assert.fail('the simulation did not fail'),
    (error: Error) => error,
  );
}

test('a server, a client and a partition between them run in virtual time', async () => {
  const { value, time } = await simulate({ seed: 1 }, async (world) => {
    const server = world.host('server', { addresses: ['10.0.0.1'] });
    const client = world.host('client');
    void server.run(echo);
    return await client.run(async () => {
      const [reader, writer] = await openConnection('10.0.0.1', 7);
      const cut = world.partition(server, client);
      writer.write('hello\n');
      getRunningLoop().callLater(60, () => cut.end());
      const line = String(await reader.readline());
      writer.close();
      await writer.waitClosed();
      return line;
    });
  });
  assert.equal(value, 'hello\n');
  // The retransmissions come after 0.2, 0.4, 0.8, … s, so the first that gets through comes before 120 s.
  assert.ok(time > 60 && time < 120, String(time));
});

test('the report has the result, the seed, the time of the world and the number of packets', async () => {
  const report = await simulate({ seed: 42 }, async () => {
    await sleep(3600);
    return 'done';
  });
  const { trace, ...rest } = report;
  assert.deepEqual(rest, { value: 'done', seed: 42, time: 3600, packets: 0, stopped: 0, reports: [] });
  assert.equal(trace.at(-1)?.label, 'scenario ends');
});

test('a simulation without a seed reports the seed that it chose', async () => {
  const { seed } = await simulate(async () => {});
  assert.ok(Number.isSafeInteger(seed));
});

test('an idle year of the world takes no real time', async () => {
  const { time } = await simulate({ seed: 1 }, () => sleep(365 * 86_400));
  assert.equal(time, 365 * 86_400);
});

// --- places ---

test('code of a host gets loops of this host by run(), newEventLoop() and getEventLoop()', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('server');
    await host.run(async () => {
      assert.ok(getRunningLoop() instanceof SimulatedEventLoop);
      assert.equal(getEventLoop(), getRunningLoop());
      assert.ok(newEventLoop() instanceof SimulatedEventLoop);
      assert.equal(backendInfo().backend, 'sim');
      assert.match(backendInfo().reason, /host server/);
      await sleep(1);
      assert.ok(getRunningLoop() instanceof SimulatedEventLoop);
    });
    const times = await host.run(() => run(async () => [getRunningLoop().time(), world.time()]));
    assert.deepEqual(times, [1, 1]);
  });
});

test('a program may call run() as the first module of a process does, but not inside of run()', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('server');
    const nested = host.run(() => run(async () => run(async () => 1)));
    await assert.rejects(nested, { code: 'ERR_LOOP_RUNNING' });
  });
});

test('each program has a policy of its own, and the policy outside stays as it is', async () => {
  const outside = getEventLoopPolicy();
  await simulate({ seed: 1 }, async (world) => {
    const policies = await Promise.all([
      world.host('a').run(async () => getEventLoopPolicy()),
      world.host('b').run(async () => getEventLoopPolicy()),
    ]);
    assert.equal(new Set([outside, getEventLoopPolicy(), ...policies]).size, 4);
  });
  assert.equal(getEventLoopPolicy(), outside);
});

test('enter() runs code on a host without a program', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('server');
    const loop = host.enter(() => newEventLoop());
    const value = await host.enter(() => loop.runUntilComplete(() => sleep(2, 'slept')));
    assert.deepEqual([value, world.time()], ['slept', 2]);
  });
});

test('a callback that another host schedules runs on the host of its loop', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const { promise, resolve } = deferred<string>();
    const host = world.host('server');
    const program = host.run(async () => {
      resolve('ready');
      await sleep(5);
    });
    let loop: unknown = null;
    void host.run(async () => {
      loop = getRunningLoop();
      await sleep(5);
    });
    await promise;
    await sleep(0);
    const where = deferred<string>();
    (loop as SimulatedEventLoop).callSoonThreadsafe(() => where.resolve(backendInfo().reason));
    assert.match(await where.promise, /host server/);
    await program;
  });
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

// --- the life of programs ---

test('a program that returns cancels its remaining tasks and awaits them', async () => {
  const events: string[] = [];
  await simulate({ seed: 1 }, async (world) => {
    await world.host('a').run(async () => {
      getRunningLoop().createTask(async () => {
        try {
          await sleep(3600);
        } finally {
          await sleep(2);
          events.push(`cleaned up at ${world.time()}`);
        }
      });
      await sleep(1);
    });
    events.push(`ended at ${world.time()}`);
  });
  assert.deepEqual(events, ['cleaned up at 3', 'ended at 3']);
});

test('a loop that a program runs and does not await keeps the program alive', async () => {
  const events: string[] = [];
  const report = await simulate({ seed: 1, trace: true }, async (world) => {
    const host = world.host('a');
    const result = await host.run(async () => {
      void run(async () => {
        await sleep(10);
        events.push(`nested at ${world.time()}`);
      });
      return 'main';
    });
    events.push(`${result} at ${world.time()}`);
    assert.deepEqual(host.programs, ['main']);
    await sleep(20);
    assert.deepEqual(host.programs, []);
  });
  assert.deepEqual(events, ['main at 0', 'nested at 10']);
  assert.ok(report.trace.some(({ time, label }) => time === 10 && label === 'main ends'));
});

test('the end of the scenario cancels every program, and awaits its cleanup in virtual time', async () => {
  const events: string[] = [];
  const { time } = await simulate({ seed: 1 }, async (world) => {
    for (const name of ['a', 'b']) {
      void world.host(name).run(async () => {
        try {
          await sleep(3600);
        } finally {
          await sleep(5);
          events.push(name);
        }
      });
    }
    await sleep(1);
  });
  assert.deepEqual(events, ['a', 'b']);
  assert.equal(time, 6);
});

test('a scenario that throws ends every program, and the simulation rejects with its exception', async () => {
  let cleaned = false;
  const thrown = new TypeError('the scenario failed');
  const failure = await failureOf(async (world) => {
    void world.host('a').run(async () => {
      try {
        await sleep(3600);
      } finally {
        cleaned = true;
      }
    });
    await sleep(1);
    throw thrown;
  });
  assert.equal(failure, thrown);
  assert.equal(failure.message, 'the scenario failed');
  assert.match(String(failure.stack), /In a simulation with seed 1, at 1 s[\s\S]*a program main starts/);
  assert.ok(cleaned);
});

test('a program that does not end after its cancel is ended after the cleanup limit, and reported', async () => {
  const reports: unknown[] = [];
  const options = { seed: 1, cleanupLimit: 30, onReport: (report: unknown) => reports.push(report) };
  const { time } = await simulate(options, async (world) => {
    void world.host('a').run(async () => {
      for (;;) {
        try {
          await sleep(3600);
        } catch {
          // Ignores the cancel.
        }
      }
    });
    await sleep(1);
  });
  assert.equal(time, 31);
  assert.deepEqual(reports, [
    {
      host: 'a',
      message: 'program main was cancelled 30 s ago, and has not ended',
      exception: null,
    },
  ]);
});

test('leaks are reported with the name of their host', async () => {
  const { reports } = await simulate(quiet, async (world) => {
    await world.host('leaky').run(async () => {
      await getRunningLoop().createServer(() => ({}), '127.0.0.1', 80);
    });
  });
  assert.deepEqual(
    reports.map(({ host, message }) => [host, message]),
    [['leaky', 'the event loop was closed, but a server was still listening on 127.0.0.1:80']],
  );
});

test('await using ends a host at the end of its scope', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const events: string[] = [];
    {
      await using host = world.host('a');
      void host.run(async () => {
        try {
          await sleep(3600);
        } finally {
          events.push(`cleaned up at ${world.time()}`);
        }
      });
      await sleep(1);
    }
    events.push('out of scope');
    assert.deepEqual(events, ['cleaned up at 1', 'out of scope']);
  });
});

test('the tasks of a program have its name', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('a');
    assert.equal(await host.run(async () => currentTask()?.name, { name: 'worker' }), 'worker');
    const names = host.run(async () => {
      const other = host.run(() => sleep(1));
      const running = host.programs;
      await other;
      return running;
    });
    assert.deepEqual(await names, ['main', 'main 2']);
  });
});

// --- failures ---

test('an awaited program that throws rejects its promise, and the simulation goes on', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const program = world.host('a').run(async () => {
      await sleep(1);
      throw new RangeError('too much');
    });
    await assert.rejects(program, { name: 'RangeError', message: 'too much' });
    await sleep(1);
  });
});

test('a program that throws and that nobody awaits makes the simulation fail with its name', async () => {
  let cancelled = false;
  const failure = await failureOf(async (world) => {
    void world.host('server').run(
      async () => {
        await sleep(1);
        throw new RangeError('too much');
      },
      { name: 'worker' },
    );
    try {
      await sleep(3600);
    } finally {
      cancelled = true;
    }
  });
  assert.ok(failure instanceof SimulationError);
  assert.equal(failure.code, 'ERR_SIMULATION_UNHANDLED');
  assert.match(
    failure.message,
    /program worker of host server failed, and nothing awaits its result: RangeError: too much/,
  );
  assert.ok(failure.cause instanceof RangeError);
  assert.match(String(failure.stack), /at 1 s/);
  assert.ok(cancelled);
});

test('an unhandled rejection in a host makes the simulation fail, and names host and task', async () => {
  const failure = await failureOf(async (world) => {
    void world.host('server').run(
      async () => {
        await sleep(1);
        void Promise.reject(new Error('lost'));
        await sleep(3600);
      },
      { name: 'worker' },
    );
    await sleep(3600);
  });
  assert.equal((failure as SimulationError).code, 'ERR_SIMULATION_UNHANDLED');
  assert.match(
    failure.message,
    /unhandled rejection of task worker in program worker of host server: Error: lost/,
  );
});

test('an unhandled rejection in the last step of a scenario makes the simulation fail', async () => {
  const failure = await failureOf(async () => {
    void Promise.reject(new Error('lost'));
  });
  assert.match(failure.message, /program scenario of host world: Error: lost/);
});

test('an exception in a tick of a host makes the simulation fail', async () => {
  const failure = await failureOf(async (world) => {
    void world.host('server').run(async () => {
      process.nextTick(() => {
        throw new Error('in a tick');
      });
      await sleep(3600);
    });
    await sleep(3600);
  });
  assert.match(failure.message, /uncaught exception.*host server: Error: in a tick/);
});

test('process.exit() in a host ends its program and nothing else', async () => {
  const { exit, emit } = process;
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('a');
    let continued = false;
    const other = host.run(() => sleep(10, 'the other goes on'), { name: 'other' });
    const program = host.run(async () => {
      try {
        await sleep(1);
        process.exit(3);
      } finally {
        await sleep(1);
        continued = true;
      }
    });
    await assert.rejects(program, {
      name: 'SimulationError',
      code: 'ERR_SIMULATION_PROGRAM_ENDED',
      message: 'program main of host a has ended by process.exit(3)',
    });
    assert.deepEqual(host.programs, ['other']);
    assert.equal(await other, 'the other goes on');
    assert.equal(continued, false);
  });
  assert.deepEqual([process.exit, process.emit], [exit, emit]);
});

test('process.exit(0) resolves the result of the program', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const program = world.host('a').run(async () => {
      await sleep(1);
      process.exit();
    });
    assert.equal(await program, undefined);
  });
});

test('process.exit() of a program that nobody awaits makes the simulation fail', async () => {
  const failure = await failureOf(async (world) => {
    void world.host('a').run(async () => process.exit(1));
    await sleep(3600);
  });
  assert.match(failure.message, /program main of host a has ended by process.exit\(1\)/);
});

test('code of another host cannot close a loop', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const [a, b] = [world.host('a'), world.host('b')];
    const loop = a.enter(() => newEventLoop());
    await assert.rejects(
      b.run(async () => loop.close()),
      { code: 'ERR_INVALID_STATE', message: /belongs to host a, so code of host b cannot close it/ },
    );
    assert.equal(loop.isClosed(), false);
    a.enter(() => loop.close());
    assert.equal(loop.isClosed(), true);
  });
});

test('a simulation inside a simulation is an error', async () => {
  await simulate({ seed: 1 }, async (world) => {
    await assert.rejects(
      simulate(async () => {}),
      { code: 'ERR_SIMULATION_NESTED' },
    );
    const nested = world.host('a').run(() => simulate(async () => {}));
    await assert.rejects(nested, { code: 'ERR_SIMULATION_NESTED', message: /host a/ });
  });
});

test('two simulations run side by side', async () => {
  const scenario = (seconds: number) => async (world: World) => {
    await world.host('a').run(() => sleep(seconds));
    return world.time();
  };
  const reports = await Promise.all([
    simulate({ seed: 1 }, scenario(10)),
    simulate({ seed: 2 }, scenario(100)),
  ]);
  assert.deepEqual(
    reports.map(({ value }) => value),
    [10, 100],
  );
});

test('a simulation runs inside a task of a real loop', async () => {
  const value = await run(async () => (await simulate({ seed: 1 }, () => sleep(3600, 'done'))).value);
  assert.equal(value, 'done');
});

test('a world cannot be used after its simulation', async () => {
  let world: World | null = null;
  await simulate({ seed: 1 }, async (made) => {
    world = made;
    made.host('a');
  });
  const ended = { name: 'SimulationError', code: 'ERR_SIMULATION_ENDED' };
  const left = world as unknown as World;
  assert.throws(() => left.host('b'), ended);
  assert.throws(() => left.latency(1), ended);
  assert.throws(() => left.hosts[0]?.run(async () => {}), ended);
  assert.throws(() => left.hosts[0]?.pause(), ended);
});

// --- limits ---

test('a world in which nothing can run any more fails, and lists what each task waits for', async () => {
  const failure = await failureOf(async (world) => {
    void world.host('server').run(
      async () => {
        const loop = getRunningLoop();
        const lost = loop.createTask(() => loop.createFuture(), { name: 'lost' });
        await lost;
      },
      { name: 'worker' },
    );
    world.host('idle');
    await new Promise(() => {});
  });
  assert.ok(failure instanceof SimulationError);
  assert.equal(failure.code, 'ERR_SIMULATION_DEADLOCK');
  const lines = failure.message.split('\n').map((line) => line.trim());
  assert.deepEqual(lines.slice(1), [
    'host world',
    'program scenario:',
    'task scenario waits for a promise that is no future of a loop',
    'host server',
    'program worker:',
    'task worker waits for task lost',
    'task lost waits for a future',
    'host idle: no program',
  ]);
});

test('a world in which only kernels go on, because a reader never reads, is a deadlock', async () => {
  const failure = await failureOf(async (world) => {
    const server = world.host('server');
    void server.run(async () => {
      const silent = await startServer(() => sleep(Number.POSITIVE_INFINITY), null, 7);
      await silent.serveForever();
    });
    await world.host('client').run(async () => {
      const [, writer] = await openConnection('server', 7);
      // More than the buffers of both sides take: the kernel asks the full window again and again.
      writer.write(Buffer.alloc(4_000_000));
      await writer.drain();
    });
  });
  assert.match(failure.message, /nothing can run any more/);
});

/** A program that spins computes for long, on a busy machine for longer than the usual limit. */
const SPINNING = { seed: 1, realTimeLimit: 3600 };

test('a program that spins until a packet comes sees it come', async () => {
  const run = async (): Promise<number> => {
    const { time } = await simulate(SPINNING, async (world) => {
      let accepted = false;
      void world.host('server').run(async () => {
        const server = await startServer(
          (_reader, writer) => {
            accepted = true;
            writer.close();
          },
          null,
          7,
        );
        await server.serveForever();
      });
      await world.host('client').run(async () => {
        const [, writer] = await openConnection('server', 7);
        while (!accepted) await sleep(0);
        writer.close();
      });
    });
    return time;
  };
  assert.equal(await run(), await run());
});

test('a program that spins until its clock has moved sees it move', async () => {
  const { value } = await simulate(SPINNING, async (world) =>
    world.host('a').run(async () => {
      const loop = getRunningLoop();
      const before = loop.time();
      while (loop.time() === before) await sleep(0);
      return loop.time();
    }),
  );
  assert.ok(value < 0.1, String(value));
});

test('a deadlock in debug mode has the stacks of the tasks', async () => {
  const scenario = async (): Promise<void> => {
    await getRunningLoop().createFuture();
  };
  const failure = await failureOf(scenario, { debug: true });
  assert.match(failure.message, /a future created at\n[\s\S]*simulate\.test\.ts/);
});

test('a wait for work of the real world is no deadlock', async () => {
  const { readFile } = await import('node:fs/promises');
  const { value } = await simulate(
    { seed: 1, node: false },
    async () => (await readFile(import.meta.filename ?? __filename)).length,
  );
  assert.ok(value > 0);
});

test('an onReport that throws makes the simulation fail, whatever it was told of', async () => {
  const onReport = ({ message }: { message: string }): never => {
    throw new Error(`reported: ${message}`);
  };
  const scenarios: [(world: World) => Promise<unknown>, RegExp][] = [
    [
      (world) =>
        world.host('a').run(async () => {
          getRunningLoop().callSoon(() => {
            throw new Error('nothing catches it');
          });
          await sleep(1);
        }),
      /reported: exception in a callback/,
    ],
    [
      async (world) => {
        void world.host('a').run(echo);
        await sleep(1);
        await world.host('b').run(() => openConnection('a', 7));
      },
      /reported: the event loop was closed, but a connection/,
    ],
    [
      async (world) => {
        const stubborn = async (): Promise<void> => {
          for (;;) await sleep(1).catch(() => {});
        };
        for (const name of ['a', 'b']) void world.host(name).run(stubborn);
        await sleep(1);
      },
      /reported: program main was cancelled 1 s ago/,
    ],
  ];
  for (const [scenario, message] of scenarios) {
    const failure = await failureOf(scenario, { onReport, cleanupLimit: 1 });
    assert.match(failure.message, message);
  }
});

test('the time limit fails a scenario that waits for longer, and lets it clean up', async () => {
  let cleanedAt = 0;
  const failure = await failureOf(
    async (world) => {
      void world.host('a').run(async () => {
        for (;;) await sleep(1);
      });
      try {
        await getRunningLoop().createFuture();
      } finally {
        await sleep(5);
        cleanedAt = world.time();
      }
    },
    { timeLimit: 60 },
  );
  assert.equal((failure as SimulationError).code, 'ERR_SIMULATION_TIME_LIMIT');
  assert.match(failure.message, /not ended after 60 s[\s\S]*task main waits for a future/);
  assert.equal(cleanedAt, 65);
});

test('the real time limit fails a world that is always busy', async () => {
  const failure = await failureOf(
    async (world) => {
      void world.host('a').run(async () => {
        for (;;) await sleep(0.001);
      });
      await getRunningLoop().createFuture();
    },
    { realTimeLimit: 0.05 },
  );
  assert.equal((failure as SimulationError).code, 'ERR_SIMULATION_REAL_TIME');
  assert.match(failure.message, /computed for 0.05 s/);
});

// --- bad input ---

test('simulate() rejects wrong arguments', async () => {
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  const scenario = async (): Promise<void> => {};
  await assert.rejects(simulate({} as never), type);
  await assert.rejects(simulate({}, 5 as never), type);
  await assert.rejects(simulate(null as never, scenario), type);
  await assert.rejects(simulate({ sed: 1 } as never, scenario), type);
  await assert.rejects(simulate({ seed: '1' } as never, scenario), type);
  await assert.rejects(simulate({ seed: 1.5 }, scenario), range);
  await assert.rejects(simulate({ trace: 'yes' } as never, scenario), type);
  await assert.rejects(simulate({ epoch: 0 } as never, scenario), type);
  await assert.rejects(simulate({ epoch: new Date(Number.NaN) }, scenario), range);
  await assert.rejects(simulate({ timeLimit: -1 }, scenario), range);
  await assert.rejects(simulate({ node: 1 } as never, scenario), type);
});

test('host() rejects names and addresses that another host has, and wrong ones', async () => {
  await simulate({ seed: 1 }, async (world) => {
    world.host('a', { addresses: ['10.1.0.1', 'fd00:0::7'] });
    const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => world.host('a'), {
      ...range,
      message: /a name that no other host of this world has/,
    });
    assert.throws(() => world.host('world'), { ...range, message: /where the scenario runs/ });
    for (const name of [
      '',
      '*',
      'localhost',
      'db.localhost',
      'LOCALHOST',
      '10.0.0.1',
      'fd00::1',
      'db.example.',
    ])
      assert.throws(() => world.host(name), { ...range, message: /a name that a look-up finds/ });
    assert.throws(() => world.host(5 as never), type);
    assert.throws(() => world.host('b', { addresses: ['10.1.0.1'] }), { ...range, message: /but a has it/ });
    assert.throws(() => world.host('b', { addresses: ['fd00::7'] }), range);
    assert.throws(() => world.host('b', { addresses: ['10.0.0.9', '10.0.0.9'] }), range);
    assert.throws(() => world.host('b', { addresses: '10.0.0.9' } as never), type);
    for (const address of [
      '10.0.0',
      '127.0.0.1',
      '::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      '255.255.255.255',
      'ff02::1',
      'fe80::1%eth0',
    ])
      assert.throws(() => world.host('b', { addresses: [address] }), range);
    assert.throws(() => world.host('b', { address: '10.0.0.9' } as never), type);
    assert.deepEqual(
      world.hosts.map(({ name }) => name),
      ['a'],
    );
  });
});

test('hosts get the next free addresses, of both families', async () => {
  await simulate({ seed: 1 }, async (world) => {
    assert.deepEqual(world.host('a').addresses, ['10.0.0.1', 'fd00::1']);
    world.host('b', { addresses: ['10.0.0.3'] });
    assert.deepEqual(world.host('c').addresses, ['10.0.0.4', 'fd00::4']);
  });
});

test('a host whose program is no function is an error at the call', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const host = world.host('a');
    assert.throws(() => host.run(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => host.install('', async () => {}), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => host.run(async () => {}, { nam: 'x' } as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.deepEqual(host.programs, []);
  });
});
