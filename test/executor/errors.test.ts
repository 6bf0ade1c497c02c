import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { copyError, restoreError } from '../../src/executor/error-copy.ts';
import { CancelledError, IncompleteReadError, LoopError } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { jobs, kinds } from './pools.ts';

/** What a rejected promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise;
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  return assert.fail('it was not rejected');
}

for (const { kind, make } of kinds) {
  describe(`errors from a ${kind}`, () => {
    const pool: AnyPool = make({ maxWorkers: 1 });
    after(() => pool.shutdown());

    test('class, name, message, code, fields, causes, and the stack in the worker', async () => {
      const error = await errorOf(pool.submit(jobs.failDeeply, []));
      assert.equal(error instanceof RangeError, true);
      assert.equal(error.name, 'AppError');
      assert.equal(error.message, 'top');
      assert.equal(error.code, 'E_APP');
      assert.deepEqual(error.limits, [1, 2]);
      assert.match(error.stack ?? '', /top\n\s+at failDeeply \(.*jobs\.ts:\d+:\d+\)/);
      const middle = error.cause as Error;
      assert.equal(middle.message, 'middle');
      const root = middle.cause as Error & Record<string, unknown>;
      assert.equal(root instanceof TypeError, true);
      assert.deepEqual([root.code, root.errno, root.syscall], ['E_ROOT', -5, 'open']);
      assert.match(root.stack ?? '', /at failDeeply/);
    });

    test('an AggregateError with its errors', async () => {
      const error = await errorOf(pool.submit(jobs.failTogether, []));
      assert.equal(error instanceof AggregateError, true);
      const [one, two, three] = error.errors as unknown[];
      assert.equal(one instanceof SyntaxError, true);
      assert.equal(two instanceof URIError, true);
      assert.equal(three, 'three');
    });

    test('a DOMException', async () => {
      const error = await errorOf(pool.submit(jobs.abort, []));
      assert.equal(error instanceof DOMException, true);
      assert.deepEqual([error.name, error.code], ['AbortError', 20]);
    });

    test('what is thrown and no error is kept', async () => {
      for (const value of ['text', 0, null, undefined, { code: 5, list: [1] }, new Map([[1, 2n]])]) {
        assert.deepEqual(await errorOf(pool.submit(jobs.throwValue, [value])), value);
      }
      // Copied as well as can be.
      assert.match(
        String(
          await errorOf(
            pool.submit(() => {
              throw (): void => {};
            }, []),
          ),
        ),
        /function/,
      );
    });

    test('fields that cannot be copied are left out, and the error arrives', async () => {
      const error = await errorOf(
        pool.submit(() => {
          const shared = new SharedArrayBuffer(4);
          throw Object.assign(new Error('carries much'), { code: 'E_MUCH', shared, callback: () => {} });
        }, []),
      );
      assert.equal(error.message, 'carries much');
      assert.equal(error.code, 'E_MUCH');
      assert.equal(error.callback, undefined);
      assert.equal('shared' in error, kind === 'thread');
    });

    test('errors among arguments and results stay errors', async () => {
      const back = await pool.submit((error: Error) => error, [new TypeError('kept')]);
      assert.equal(back instanceof TypeError, true);
      assert.equal(back.message, 'kept');
    });
  });
}

describe('copyError() and restoreError()', () => {
  const through = <T>(error: T): T => restoreError(structuredClone(copyError(error))) as T;

  test('classes of this package', () => {
    const closed = through(new LoopError('ERR_LOOP_CLOSED', 'closed'));
    assert.equal(closed instanceof LoopError, true);
    assert.deepEqual([closed.name, closed.code, closed.message], ['LoopError', 'ERR_LOOP_CLOSED', 'closed']);
    const cancelled = through(new CancelledError('why', { cause: 'because' }));
    assert.equal(cancelled instanceof CancelledError, true);
    assert.equal(cancelled.cause, 'because');
    const incomplete = through(new IncompleteReadError(Buffer.from('ab'), 5));
    assert.equal(incomplete instanceof IncompleteReadError, true);
    assert.equal(incomplete.expected, 5);
  });

  test('a class of the program is the class that it extends, with its own name', () => {
    class NotFound extends TypeError {}
    class Named extends Error {
      override readonly name = 'Titled';
    }
    const notFound = through(new NotFound('gone'));
    assert.equal(notFound.name, 'NotFound');
    assert.equal(notFound instanceof TypeError, true);
    assert.equal(String(notFound), 'NotFound: gone');
    assert.equal(through(new Named('x')).name, 'Titled');
  });

  test('fields of an error are not made visible that were not', () => {
    assert.deepEqual(Object.keys(through(new Error('x', { cause: 5 }))), []);
  });

  test('a cause that is there but undefined, and none', () => {
    assert.equal('cause' in through(new Error('x', { cause: undefined })), true);
    assert.equal('cause' in through(new Error('x')), false);
  });

  test('causes in a circle, and very long chains, come to an end', () => {
    const error = new Error('round');
    error.cause = error;
    assert.equal(((through(error).cause as Error).cause as Error).message, 'round');
    let chain: unknown = 'root';
    for (let i = 0; i < 1000; i++) chain = new Error(`${i}`, { cause: chain });
    assert.equal((through(chain) as Error).message, '999');
  });

  test('what cannot be copied is left out, or described when it is all there is', () => {
    const error = through(Object.assign(new Error('x'), { code: 'E', socket: { write: () => {} } }));
    assert.deepEqual(Object.keys(error), ['code']);
    assert.equal(
      through<unknown>(function thrown() {}),
      'function thrown',
    );
  });

  test('errors that were tampered with', () => {
    const error = new Error('x');
    Object.defineProperties(error, {
      message: { value: { not: 'text' } },
      stack: { value: 5 },
      name: { value: Symbol('name') },
    });
    const copy = through(error);
    assert.equal(copy.message, 'an instance of Object');
    assert.equal(copy.stack, undefined);
    assert.equal(copy.name, 'Symbol(name)');
  });
});
