import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BaseEventLoop, Future, SubprocessOptions, SubprocessTransport } from '../../src/index.ts';
import {
  CancelledError,
  createSubprocessExec,
  DEVNULL,
  NodeEventLoop,
  PIPE,
  STDOUT,
  sleep,
  timeout,
} from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { onNode } from '../helpers/pairs.ts';
import {
  ChildRecorder,
  childrenOfOurs,
  eventuallyWithoutLoop,
  leavingNothing,
  skipNotLinux,
} from './children.ts';

// The three kinds take different steps: pipes are ready at once, one pipe for two descriptors takes a while,
// and no pipes.
const KINDS: Record<string, SubprocessOptions> = {
  pipes: {},
  'one pipe for two': { stderr: STDOUT },
  'no pipes': { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL },
};

function startSleep(
  loop: BaseEventLoop,
  options: SubprocessOptions,
): Future<[SubprocessTransport, ChildRecorder]> {
  return loop.subprocessExec(() => new ChildRecorder(), 'sleep', ['100'], options);
}

for (const [kind, options] of Object.entries(KINDS)) {
  test(
    `cancelling the start of a child at any moment leaves no child and no descriptor (${kind})`,
    { skip: skipNotLinux },
    onNode(async (loop) => {
      const outcomes = new Set<string>();
      await leavingNothing(async () => {
        for (let turns = 0; turns < 14; turns++) {
          for (const [how, pause] of [
            ['turns', () => sleep(0)],
            ['microtasks', () => Promise.resolve()],
            ['polls', () => new Promise((resolve) => setImmediate(resolve))],
          ] as const) {
            const starting = startSleep(loop, options);
            for (let i = 0; i < turns; i++) await pause();
            const cancelled = starting.cancel();
            const outcome = await starting.then(
              async ([transport]) => {
                await transport[Symbol.asyncDispose]();
                return 'started';
              },
              (error: unknown) => {
                assert.ok(error instanceof CancelledError);
                return 'cancelled';
              },
            );
            // A cancel in the step in which the transport is delivered comes too late.
            if (!cancelled) assert.equal(outcome, 'started', how);
            outcomes.add(outcome);
          }
        }
      });
      assert.deepEqual([...outcomes].sort(), ['cancelled', 'started']);
    }),
  );

  test(
    `cancelling the task that starts a child at any moment leaves no child and no descriptor (${kind})`,
    { skip: skipNotLinux },
    onNode(async (loop) => {
      await leavingNothing(async () => {
        for (let turns = 0; turns < 14; turns++) {
          const task = loop.createTask(async () => {
            const child = await createSubprocessExec('sleep', ['100'], {
              stdin: PIPE,
              stdout: PIPE,
              ...options,
            });
            try {
              await child.wait();
            } finally {
              await child[Symbol.asyncDispose]();
            }
          });
          for (let i = 0; i < turns; i++) await sleep(0);
          task.cancel();
          await assert.rejects(task, CancelledError);
        }
      });
    }),
  );

  test(
    `a signal that aborts the start of a child at any moment leaves no child and no descriptor (${kind})`,
    { skip: skipNotLinux },
    onNode(async (loop) => {
      await leavingNothing(async () => {
        for (let turns = 0; turns < 10; turns++) {
          const controller = new AbortController();
          const starting = startSleep(loop, { ...options, signal: controller.signal });
          for (let i = 0; i < turns; i++) await sleep(0);
          controller.abort(new Error('the reason'));
          const child = await starting.catch((error: CancelledError) => {
            assert.ok(error instanceof CancelledError);
            assert.match(String(error.cause), /the reason/);
            return null;
          });
          // The child has started: from now on the signal has no effect.
          if (child !== null) {
            assert.equal(child[0].isClosing(), false);
            await child[0][Symbol.asyncDispose]();
          }
        }
      });
    }),
  );

  test(`closing the loop at any moment of a child’s start leaves no child and no descriptor (${kind})`, {
    skip: skipNotLinux,
  }, async () => {
    const before = childrenOfOurs().length;
    for (let polls = 0; polls < 8; polls++) {
      await withLoop(
        () => new NodeEventLoop(),
        async (loop, reports) => {
          const starting = startSleep(loop, options);
          for (let i = 0; i < polls; i++) await new Promise((resolve) => setImmediate(resolve));
          loop.close();
          assert.ok(starting.cancelled());
          assert.ok(reports.takeMessages().length >= 1);
        },
      );
    }
    await eventuallyWithoutLoop(() => childrenOfOurs().length === before);
  });
}

test(
  'subprocessExec() with an aborted signal starts no child',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      const before = childrenOfOurs().length;
      const starting = startSleep(loop, { signal: AbortSignal.abort('before') });
      assert.equal(childrenOfOurs().length, before);
      await assert.rejects(starting, { name: 'CancelledError', cause: 'before' });
      await assert.rejects(createSubprocessExec('sleep', ['100'], { signal: AbortSignal.abort('before') }), {
        name: 'CancelledError',
        cause: 'before',
      });
    });
  }),
);

test(
  'a start that fails and is cancelled at the same time has one outcome',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      for (let turns = 0; turns < 8; turns++) {
        const starting = loop.subprocessExec(() => ({}), 'gyre-no-such-program');
        for (let i = 0; i < turns; i++) await sleep(0);
        const cancelled = starting.cancel();
        const { code } = await starting.then(
          () => assert.fail('it was started'),
          (error: NodeJS.ErrnoException) => error,
        );
        assert.ok(code === 'ENOENT' || (code === 'ERR_CANCELLED' && cancelled), code);
      }
    });
  }),
);

test(
  'a timeout around a child that does not end kills it',
  { skip: skipNotLinux },
  onNode(async () => {
    await leavingNothing(async () => {
      await assert.rejects(
        timeout(0.02, async () => {
          await using child = await createSubprocessExec('sleep', ['100'], { stdout: PIPE });
          await child.stdout?.read();
        }),
        { code: 'ERR_TIMEOUT' },
      );
    });
  }),
);
