import assert from 'node:assert/strict';
import type { ExceptionContext } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** Returns the text that is printed to standard error while `body` runs. */
async function printed(body: () => unknown): Promise<unknown[][]> {
  const lines: unknown[][] = [];
  const original = console.error;
  console.error = (...args: unknown[]) => {
    lines.push(args);
  };
  try {
    await body();
  } finally {
    console.error = original;
  }
  return lines;
}

export function exceptionsSuite(target: Target): void {
  section('Exceptions', target, (test) => {
    test('call_soon() and call_later() report a callback that throws, and run the others', async ({
      loop,
      reports,
    }) => {
      const log: string[] = [];
      const bugs = [new Error('soon'), new Error('later')];
      const soon = loop.callSoon(() => {
        throw bugs[0];
      });
      const later = loop.callLater(0.001, () => {
        throw bugs[1];
      });
      loop.callSoon(() => log.push('next'));
      loop.callLater(0.002, () => {
        log.push('last');
        loop.stop();
      });
      await loop.runForever();
      assert.deepEqual(log, ['next', 'last']);
      const seen = reports.take();
      assert.deepEqual(
        seen.map(({ exception }) => exception),
        bugs,
      );
      assert.deepEqual(
        seen.map(({ handle }) => handle),
        [soon, later],
      );
      for (const { message } of seen) assert.equal(message, 'exception in a callback');
    });

    test('call_soon() reports any value that a callback throws, also one that is no Error', async ({
      loop,
      reports,
    }) => {
      for (const thrown of [undefined, null, 'text', 5]) {
        loop.callSoon(() => {
          throw thrown;
        });
      }
      loop.stop();
      await loop.runForever();
      assert.deepEqual(
        reports.take().map(({ exception }) => exception),
        [undefined, null, 'text', 5],
      );
    });

    test('call_soon() reports the rejection of an async callback, which is no unhandled rejection of the process', async ({
      loop,
      reports,
    }) => {
      const bug = new Error('bug');
      loop.callSoon(async () => {
        await sleep(0);
        throw bug;
      });
      await loop.runUntilComplete(() => sleep(0.001));
      assert.deepEqual(
        reports.take().map(({ exception }) => exception),
        [bug],
      );
    });

    test('add_done_callback() reports a callback that throws, and calls the others', async ({
      loop,
      reports,
    }) => {
      const log: string[] = [];
      const future = loop.createFuture();
      future.addDoneCallback(() => {
        throw new Error('bug');
      });
      future.addDoneCallback(() => log.push('second'));
      future.setResult(1);
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, ['second']);
      assert.equal(reports.take().length, 1);
    });

    test('set_exception_handler() sets a handler that gets loop and context, and null restores the default', async ({
      loop,
    }) => {
      const seen: unknown[] = [];
      const handler = (given: unknown, context: ExceptionContext): void => {
        seen.push(given, context);
      };
      loop.setExceptionHandler(handler);
      assert.equal(loop.getExceptionHandler(), handler);
      const context = { message: 'my own', detail: 5 };
      loop.callExceptionHandler(context);
      assert.deepEqual(seen, [loop, context]);
      loop.setExceptionHandler(null);
      assert.equal(loop.getExceptionHandler(), null);
      const lines = await printed(() => loop.callExceptionHandler(context));
      assert.deepEqual(lines, [['gyre: my own\n  detail: Number']]);
      assert.equal(seen.length, 2);
    });

    test('default_exception_handler() prints the message, the objects concerned, and the exception', async ({
      loop,
    }) => {
      const exception = new Error('bug');
      const lines = await printed(() => {
        loop.defaultExceptionHandler({
          message: 'it broke',
          exception,
          handle: null,
          sourceTraceback: '    at somewhere',
        });
      });
      const title = 'gyre: it broke\n  created at (most recent call first):\n      at somewhere';
      assert.deepEqual(lines, [[`${title}\n${indented(exception)}`]]);
    });

    test('call_exception_handler() never throws: it reports the error of the handler, and does not lose the context', async ({
      loop,
    }) => {
      const bug = new Error('bug in the handler');
      loop.setExceptionHandler(() => {
        throw bug;
      });
      const lines = await printed(() => loop.callExceptionHandler({ message: 'the first' }));
      assert.equal(lines.length, 2);
      assert.deepEqual(lines[0], [`gyre: exception in the exception handler\n${indented(bug)}`]);
      assert.deepEqual(lines[1], ['gyre: the first']);
      loop.setExceptionHandler(null);
    });

    test('call_exception_handler() works on a closed loop, because leaks may be found late', ({
      loop,
      reports,
    }) => {
      loop.close();
      loop.callExceptionHandler({ message: 'late' });
      assert.deepEqual(reports.takeMessages(), ['late']);
    });
  });
}

function indented({ stack }: Error): string {
  return String(stack).replace(/^/gm, '  ');
}
