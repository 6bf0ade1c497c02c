import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { copyError, restoreError } from '../../src/executor/error-copy.ts';
import { CancelledError, IncompleteReadError, LoopError } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { jobs, kinds } from './pools.ts';

/** Returns the reason of a rejected promise. */
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

    test('an error of a job arrives with class, name, message, code, fields, causes and the stack of the worker', async () => {
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

    test('an AggregateError of a job arrives with its errors', async () => {
      const error = await errorOf(pool.submit(jobs.failTogether, []));
      assert.equal(error instanceof AggregateError, true);
      const [one, two, three] = error.errors as unknown[];
      assert.equal(one instanceof SyntaxError, true);
      assert.equal(two instanceof URIError, true);
      assert.equal(three, 'three');
    });

    test('a DOMException of a job arrives as a DOMException', async () => {
      const error = await errorOf(pool.submit(jobs.abort, []));
      assert.equal(error instanceof DOMException, true);
      assert.deepEqual([error.name, error.code], ['AbortError', 20]);
    });

    test('a thrown value that is no error arrives as it is', async () => {
      for (const value of ['text', 0, null, undefined, { code: 5, list: [1] }, new Map([[1, 2n]])]) {
        assert.deepEqual(await errorOf(pool.submit(jobs.throwValue, [value])), value);
      }
      // The value is copied as far as possible.
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

    test('an error of a job arrives without the fields that cannot be copied', async () => {
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

    test('an error whose properties throw arrives without them, and the worker lives', async () => {
      const pid = await pool.submit(jobs.whoAmI, []);
      for (const name of ['lazy', 'message', 'name', 'stack', 'cause', 'errors']) {
        const error = await errorOf(
          pool.submit(
            (property: string) => {
              const get = (): never => {
                throw new Error('thrown by a getter');
              };
              throw Object.defineProperty(Object.assign(new Error('real'), { code: 'E_REAL' }), property, {
                get,
              });
            },
            [name],
          ),
        );
        assert.equal(error instanceof Error, true, name);
        assert.equal(error.code, 'E_REAL', name);
        assert.equal(error.message, name === 'message' ? 'undefined' : 'real');
      }
      const unexplained = await errorOf(
        pool.submit(() => {
          const get = (): never => {
            throw new Error('thrown by a getter');
          };
          throw Object.defineProperty(new ReferenceError('x is not defined'), 'stack', { get });
        }, []),
      );
      assert.equal(unexplained.message, 'x is not defined');
      assert.equal(await pool.submit(jobs.whoAmI, []), pid);
    });

    test('a thrown proxy whose traps throw arrives as its description', async () => {
      const thrown = await errorOf(
        pool.submit(() => {
          const { proxy, revoke } = Proxy.revocable(new Error('real'), {});
          revoke();
          throw proxy;
        }, []),
      );
      assert.equal(thrown, 'an object');
    });

    test('errors that share their causes arrive with the same structure, each once', async () => {
      const error = await errorOf(
        pool.submit(() => {
          let error = new Error('root');
          for (let i = 0; i < 40; i++) error = new AggregateError([error, error], `${i}`, { cause: error });
          throw error;
        }, []),
      );
      let levels = 0;
      for (let each: unknown = error; each instanceof AggregateError; each = each.cause) {
        assert.equal(each.errors[0], each.cause);
        assert.equal(each.errors[1], each.cause);
        levels++;
      }
      assert.equal(levels, 40);
    });

    test('errors among arguments and results arrive as errors', async () => {
      const back = await pool.submit((error: Error) => error, [new TypeError('kept')]);
      assert.equal(back instanceof TypeError, true);
      assert.equal(back.message, 'kept');
    });
  });
}

describe('copyError() and restoreError()', () => {
  const through = <T>(error: T): T => restoreError(structuredClone(copyError(error))) as T;

  test('copyError() and restoreError() keep the classes of this package', () => {
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

  test('copyError() and restoreError() turn a class of the program into its base class, with its own name', () => {
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

  test('copyError() and restoreError() keep hidden fields of an error hidden', () => {
    assert.deepEqual(Object.keys(through(new Error('x', { cause: 5 }))), []);
  });

  test('copyError() and restoreError() distinguish an undefined cause from none', () => {
    assert.equal('cause' in through(new Error('x', { cause: undefined })), true);
    assert.equal('cause' in through(new Error('x')), false);
  });

  test('copyError() and restoreError() keep a cycle of causes', () => {
    const one = new Error('one');
    const two = new AggregateError([one], 'two', { cause: one });
    one.cause = two;
    const copy = through(one);
    const other = copy.cause as AggregateError;
    assert.equal(other.message, 'two');
    assert.equal(other.cause, copy);
    assert.equal(other.errors[0], copy);
    const selfish = new Error('round');
    selfish.cause = selfish;
    const round = through(selfish);
    assert.equal(round.cause, round);
  });

  test('copyError() and restoreError() keep a very long chain of causes whole', () => {
    let chain: unknown = 'root';
    // Without stacks: mapping each to its source takes a tenth of a millisecond.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    for (let i = 0; i < 100_000; i++) chain = new Error('x', { cause: chain });
    let length = 0;
    let each = through(chain);
    for (; each instanceof Error; each = each.cause) length++;
    Error.stackTraceLimit = stackTraceLimit;
    assert.deepEqual([length, each], [100_000, 'root']);
  });

  test('copyError() and restoreError() copy an error once if several others refer to it', () => {
    let error = new Error('root');
    for (let i = 0; i < 16; i++) error = new AggregateError([error], 'level', { cause: error });
    assert.equal(copyError(error).errors.length, 17);
  });

  test('copyError() and restoreError() keep an error in a field of an error, with its code and visibility', () => {
    const inner = Object.assign(new RangeError('inner'), { code: 'E_INNER' });
    const error = Object.assign(new Error('outer', { cause: inner }), { inner });
    Object.defineProperty(error, 'hidden', { value: inner, enumerable: false });
    const copy = through(error) as Error & { inner: NodeJS.ErrnoException; hidden: unknown };
    assert.equal(copy.inner instanceof RangeError, true);
    assert.equal(copy.inner.code, 'E_INNER');
    assert.equal(copy.inner, copy.cause);
    assert.equal(copy.hidden, copy.cause);
    assert.deepEqual(Object.keys(copy), ['inner']);
  });

  const { SuppressedError: Suppressed } = globalThis as {
    SuppressedError?: new (error: unknown, suppressed: unknown, message: string) => Error;
  };
  test('copyError() and restoreError() keep both errors of a SuppressedError', {
    skip: Suppressed === undefined && 'this version of Node has none',
  }, () => {
    const [error, suppressed] = [new TypeError('second'), new RangeError('first')];
    const copy = through(new Suppressed!(error, suppressed, 'both')) as Error & Record<string, unknown>;
    assert.equal(copy instanceof Suppressed!, true);
    assert.equal(copy.error instanceof TypeError, true);
    assert.equal(copy.suppressed instanceof RangeError, true);
  });

  test('copyError() and restoreError() drop fields that cannot be copied, and describe a value that cannot be', () => {
    const error = through(Object.assign(new Error('x'), { code: 'E', socket: { write: () => {} } }));
    assert.deepEqual(Object.keys(error), ['code']);
    assert.equal(
      through<unknown>(function thrown() {}),
      'function thrown',
    );
  });

  test('copyError() and restoreError() survive errors with changed properties', () => {
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
