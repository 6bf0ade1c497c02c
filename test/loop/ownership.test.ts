import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { ExceptionContext } from '../../src/index.ts';
import { BoundedSemaphore, Condition, getRunningLoop, Lock, Semaphore, sleep } from '../../src/index.ts';
import { rememberOrigin } from '../../src/loop/creation.ts';
import { printException } from '../../src/loop/exception-handler.ts';
import type { OwnedTask, Resource } from '../../src/loop/ownership.ts';
import { leakLine } from '../../src/loop/ownership.ts';
import { operation } from '../../src/tasks/operation.ts';

/** Creates a loop, a log of its reports, and resources that it can own. */
class Stage {
  readonly loop: SimulatedEventLoop = new SimulatedEventLoop();
  readonly reports: ExceptionContext[] = [];
  readonly abandoned: string[] = [];

  constructor({ debug = false } = {}) {
    this.loop.debug = debug;
    // A busy machine makes callbacks slow, which debug mode reports.
    this.loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
    this.loop.setExceptionHandler((_loop, context) => this.reports.push(context));
  }

  thing(name: string, kind?: 'child'): Resource {
    return {
      ...(kind === undefined ? {} : { _kind: kind }),
      _describe: () => `${name} was still open`,
      _forceClose: () => this.abandoned.push(name),
    };
  }

  run(body: () => unknown, name: string): Promise<unknown> {
    return this.loop.runUntilComplete(this.loop.createTask(async () => body(), { name }));
  }
}

test('Ownership ends each resource once and reports it, tasks first, in order of creation', () => {
  const { loop, ...stage } = new Stage();
  const { _owned: owned } = loop;
  const thing = (name: string): Resource => ({
    _describe: () => `${name} was still open`,
    _forceClose: () => stage.abandoned.push(name),
  });
  owned.resources.add(thing('server'));
  owned.resources.add(thing('transport'));
  owned.tasks.add({ ...thing('task'), _previous: null, _next: null } as unknown as OwnedTask);
  owned.locks.add(thing('lock'));
  owned.unretrieved.add({ context: { message: 'lost', exception: 5 }, tellAt: null });
  assert.deepEqual(
    owned.abandonAll().map(({ message }) => message),
    [
      'the event loop was closed, but task was still open',
      'the event loop was closed, but server was still open',
      'the event loop was closed, but transport was still open',
      'the event loop was closed, but lock was still open',
      'lost',
    ],
  );
  assert.deepEqual(stage.abandoned, ['task', 'server', 'transport', 'lock']);
  assert.deepEqual([owned.abandonAll(), owned.leaks()], [[], []]);
  assert.equal(stage.abandoned.length, 4);
});

test('Ownership handles resources that end each other', () => {
  const { _owned: owned } = new SimulatedEventLoop();
  const log: string[] = [];
  const connection: Resource = {
    _describe: () => 'connection was still open',
    _forceClose: () => {
      log.push('connection');
      owned.resources.delete(connection);
    },
  };
  const server: Resource = {
    _describe: () => 'server was still open',
    _forceClose: () => {
      log.push('server');
      owned.resources.delete(server);
      owned.resources.delete(connection);
    },
  };
  owned.resources.add(server);
  owned.resources.add(connection);
  assert.equal(owned.abandonAll().length, 2);
  assert.deepEqual(log, ['server', 'connection']);
  assert.equal(owned.resources.size, 0);
});

test('Ownership knows in every mode which task created a resource, and how long ago', async () => {
  const stage = new Stage();
  const { loop } = stage;
  loop._owned.resources.add(stage.thing('early'));
  await stage.run(async () => {
    await sleep(2);
    loop._owned.resources.add(stage.thing('socket'));
    loop._owned.resources.add(stage.thing('program', 'child'));
    loop.callSoon(() => loop._owned.resources.add(stage.thing('accepted')));
    await sleep(3);
  }, 'main');
  const unknown = { owner: null, stack: null };
  assert.deepEqual(loop._owned.leaks(), [
    { kind: 'handle', description: 'early was still open', ageSeconds: 5, ...unknown },
    { kind: 'handle', description: 'socket was still open', ageSeconds: 3, stack: null, owner: 'main' },
    { kind: 'child', description: 'program was still open', ageSeconds: 3, stack: null, owner: 'main' },
    { kind: 'handle', description: 'accepted was still open', ageSeconds: 3, ...unknown },
  ]);
  loop.close();
  assert.deepEqual(
    stage.reports.map(({ resource, ...rest }) => [typeof resource, rest]),
    [
      ['object', { message: 'the event loop was closed, but early was still open', ageSeconds: 5 }],
      [
        'object',
        { message: 'the event loop was closed, but socket was still open', ageSeconds: 3, owner: 'main' },
      ],
      [
        'object',
        { message: 'the event loop was closed, but program was still open', ageSeconds: 3, owner: 'main' },
      ],
      ['object', { message: 'the event loop was closed, but accepted was still open', ageSeconds: 3 }],
    ],
  );
});

test('Ownership does not name a task of another loop as the owner', async () => {
  const stage = new Stage();
  const other = new Stage();
  await stage.run(() => other.loop._owned.resources.add(other.thing('socket')), 'main');
  assert.deepEqual(
    other.loop._owned.leaks().map(({ owner }) => owner),
    [null],
  );
  other.loop.close();
  stage.loop.close();
});

test('Ownership counts the age of a resource from the last time it was added', async () => {
  const stage = new Stage();
  const thing = stage.thing('socket');
  const { resources } = stage.loop._owned;
  resources.add(thing);
  await stage.run(async () => {
    await sleep(5);
    assert.equal(resources.delete(thing), true);
    assert.equal(resources.size, 0);
    resources.add(thing);
    await sleep(1);
  }, 'main');
  assert.deepEqual(
    stage.loop._owned.leaks().map(({ ageSeconds, owner }) => [ageSeconds, owner]),
    [[1, 'main']],
  );
  stage.loop.close();
});

test('Ownership knows owner, age and stack of a task in debug mode only', async () => {
  for (const debug of [false, true]) {
    const stage = new Stage({ debug });
    const { loop } = stage;
    await stage.run(async () => {
      await sleep(1);
      loop.createTask(() => sleep(3600), { name: 'child' });
      await sleep(2);
    }, 'main');
    const [leak] = loop._owned.leaks();
    assert.deepEqual([leak?.kind, leak?.description], ['task', 'task child was still pending']);
    assert.deepEqual([leak?.owner, leak?.ageSeconds], debug ? ['main', 2] : [null, null]);
    if (debug)
      assert.match(String(leak?.stack), /^( +at .*src.event-loop\.ts.*\n)+ +at .*ownership\.test\.ts/);
    else assert.equal(leak?.stack, null);
    loop.close();
    const report = stage.reports[0] as ExceptionContext;
    assert.equal((report.task as { name: string }).name, 'child');
    assert.deepEqual([report.owner, report.ageSeconds], debug ? ['main', 2] : [undefined, undefined]);
    assert.equal('sourceTraceback' in report, debug);
  }
});

test('a resource that an operation of the library opens names the caller, and a task names its own creator only', async () => {
  const stage = new Stage({ debug: true });
  const { loop } = stage;
  const task = (name: string, body: () => Promise<unknown>): Promise<unknown> =>
    loop.createTask(body, { name }).then((value) => value);
  await stage.run(
    () =>
      task('a', () =>
        task('b', async () => {
          loop._owned.resources.add(stage.thing('socket'));
          await operation(loop, 'opening', async () => loop._owned.resources.add(stage.thing('another')));
        }),
      ),
    'main',
  );
  assert.deepEqual(
    loop._owned.leaks().map(({ owner }) => owner),
    ['b', 'opening of task b'],
  );
  loop.close();
});

test('a resource that an operation opens has the stack of the operation’s call below its own in debug mode', async () => {
  const stage = new Stage({ debug: true });
  const { loop } = stage;
  const callOperation = (): Promise<void> =>
    operation(loop, 'open', async () => {
      await sleep(1);
      const thing = stage.thing('socket');
      rememberOrigin(thing, rememberOrigin);
      loop._owned.resources.add(thing);
    });
  await stage.run(() => callOperation(), 'main');
  const [leak] = loop._owned.leaks();
  assert.equal(leak?.owner, 'open of task main');
  const stack =
    /^ +at [\s\S]*\n {2}by task open of task main, created at\n[\s\S]*callOperation .*ownership\.test/;
  assert.match(String(leak?.stack), stack);
  loop.close();
});

test('a leak report describes a resource in one line, with its stack below', () => {
  const leak = { kind: 'handle', description: 'a server was still listening' } as const;
  assert.equal(leakLine({ ...leak, owner: null, ageSeconds: null, stack: null }), leak.description);
  assert.equal(
    leakLine({ ...leak, owner: 'main', ageSeconds: 0.25, stack: null }),
    'a server was still listening (made by task main, 0.250 seconds old)',
  );
  assert.equal(
    leakLine({ ...leak, owner: null, ageSeconds: 2, stack: '    at here' }),
    'a server was still listening (2.000 seconds old), created at\n    at here',
  );
});

test('a printed leak report names owner and age, and a printed blocker the resources that are left', () => {
  const error = mock.method(console, 'error', () => {});
  try {
    printException({ message: 'left', resource: new Map(), owner: 'main', ageSeconds: 1.5 });
    printException({
      message: 'slow',
      tasks: [{ name: 'a' }, { name: 'b' }],
      left: ['task a was still pending', 'a server was still listening'],
    });
    assert.deepEqual(
      error.mock.calls.map((call) => call.arguments),
      [
        ['gyre: left\n  resource: Map\n  made by: task main\n  age: 1.500 seconds'],
        [
          'gyre: slow\n  tasks: Object a, Object b\n  left in the loop:\n' +
            '    task a was still pending\n    a server was still listening',
        ],
      ],
    );
  } finally {
    error.mock.restore();
  }
});

test('a resource that was created outside of any loop has a stack and no creation record', () => {
  const thing = { _previous: null, _next: null };
  rememberOrigin(thing, rememberOrigin);
  const stage = new Stage();
  stage.loop._owned.tasks.add(Object.assign(thing, stage.thing('task')) as unknown as OwnedTask);
  const [leak] = stage.loop._owned.leaks();
  assert.deepEqual([leak?.owner, leak?.ageSeconds], [null, null]);
  assert.match(String(leak?.stack), /ownership\.test\.ts/);
  stage.loop.close();
});

// --- held locks ---

/** Returns the resources that `body` leaves held, in debug mode. */
async function held(
  body: () => Promise<unknown>,
  { debug = true } = {},
): Promise<{ lines: string[]; stage: Stage }> {
  const stage = new Stage({ debug });
  await stage.run(body, 'main');
  const lines = stage.loop._owned
    .leaks()
    .filter(({ kind }) => kind === 'lock')
    .map((leak) => leakLine({ ...leak, stack: null }));
  return { lines, stage };
}

test('a leak report names a held lock in debug mode: the holder, the place and the time', async () => {
  const lock = new Lock();
  const { lines, stage } = await held(async () => {
    await sleep(1);
    await lock.acquire();
    await sleep(2);
  });
  assert.deepEqual(lines, ['a Lock was still held (made by task main, 2.000 seconds old)']);
  stage.loop.close();
  const [report] = stage.reports;
  assert.equal(report?.message, 'the event loop was closed, but a Lock was still held');
  assert.equal(report?.resource, lock);
  assert.match(String(report?.sourceTraceback), /^ +at .*ownership\.test\.ts/);
  assert.equal(lock.locked(), true);
  lock.release();
  assert.deepEqual(stage.loop._owned.leaks(), []);
});

test('a leak report names no lock outside of debug mode, and no lock that was released in any way', async () => {
  const lock = new Lock();
  const { lines } = await held(() => lock.acquire().then(() => {}), { debug: false });
  assert.deepEqual(lines, []);
  lock.release();
  for (const release of [
    (guard: Disposable) => guard[Symbol.dispose](),
    () => lock.release(),
    (guard: Disposable) => {
      getRunningLoop().debug = false;
      guard[Symbol.dispose]();
    },
  ]) {
    const { lines } = await held(async () => release(await lock.acquire()));
    assert.deepEqual(lines, []);
  }
});

test('a lock that a task waited for is as old as the acquisition, and belongs to the task that asked', async () => {
  const lock = new Lock();
  const { lines } = await held(async () => {
    const loop = getRunningLoop();
    const guard = await lock.acquire();
    const waiting = loop.createTask(() => lock.acquire().then(() => {}), { name: 'second' });
    await sleep(5);
    guard[Symbol.dispose]();
    await waiting;
    await sleep(2);
  });
  assert.deepEqual(lines, ['a Lock was still held (made by task second, 2.000 seconds old)']);
  lock.release();
});

test('Condition.wait() releases its lock in the leak report, and holds it again when it returns', async () => {
  const changed = new Condition();
  const { lines } = await held(async () => {
    const loop = getRunningLoop();
    const waiting = loop.createTask(
      async () => {
        await changed.acquire();
        await changed.wait();
      },
      { name: 'sleeper' },
    );
    await sleep(1);
    assert.deepEqual(
      loop._owned.leaks().filter(({ kind }) => kind === 'lock'),
      [],
    );
    {
      using _ = await changed.acquire();
      changed.notify();
    }
    await waiting;
    await sleep(1);
  });
  assert.deepEqual(lines, ['a Lock was still held (made by task sleeper, 1.000 seconds old)']);
  changed.release();
});

test('a leak report names a BoundedSemaphore with permits taken, and no Semaphore', async () => {
  const bounded = new BoundedSemaphore(3);
  const plain = new Semaphore(1);
  const { lines } = await held(async () => {
    await plain.acquire();
    await bounded.acquire();
    const second = await bounded.acquire();
    await sleep(1);
    second[Symbol.dispose]();
    await sleep(1);
  });
  assert.deepEqual(lines, [
    'a BoundedSemaphore still had 1 of its 3 permits taken (made by task main, 2.000 seconds old)',
  ]);
  bounded.release();
  const { lines: none } = await held(async () => {
    using _ = await bounded.acquire();
  });
  assert.deepEqual(none, []);
});

test('a leak report names a BoundedSemaphore whose permit was handed to a waiter', async () => {
  const bounded = new BoundedSemaphore(1);
  const { lines } = await held(async () => {
    const loop = getRunningLoop();
    const first = await bounded.acquire();
    const waiting = loop.createTask(() => bounded.acquire().then(() => {}), { name: 'second' });
    await sleep(1);
    first[Symbol.dispose]();
    await waiting;
  });
  assert.equal(lines.length, 1);
  assert.match(lines[0] as string, /^a BoundedSemaphore still had 1 of its 1 permits taken/);
  bounded.release();
});
