import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { importFunctions, referenceOf, ThreadPoolExecutor } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { jobs, jobsUrl, kinds } from './pools.ts';

const OUTSIDE = 5;

for (const { kind, make } of kinds) {
  describe(`functions in a ${kind}`, () => {
    const pool: AnyPool = make({ maxWorkers: 1 });
    after(() => pool.shutdown());

    test('a pool calls a function of a module, synchronous or async, with its arguments', async () => {
      assert.equal(await pool.submit(jobs.fib, [15]), 610);
      assert.equal(await pool.submit(jobs.later, ['ab', 2]), 'abab');
    });

    test('a pool names a function that the module does not export, and the exports that there are', async () => {
      const loose = importFunctions<Record<string, () => void>>(jobsUrl);
      await assert.rejects(pool.submit(loose.fibb as () => void, []), (error: Error) => {
        assert.equal(error.name, 'TypeError');
        assert.match(error.message, /jobs\.ts exports no function "fibb"; it exports .*\bfib\b/);
        return true;
      });
      await assert.rejects(pool.submit(loose.notAFunction as () => void, []), /no function "notAFunction"/);
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    });

    test('a pool names a module that does not exist', async () => {
      const missing = importFunctions<{ fn: () => void }>(new URL('./missing.mjs', import.meta.url));
      await assert.rejects(pool.submit(missing.fn, []), { code: 'ERR_MODULE_NOT_FOUND' });
    });

    test('a pool calls functions of builtin and data: modules', async () => {
      const path = importFunctions<typeof import('node:path')>('node:path');
      assert.equal(await pool.submit(path.basename, ['/a/b']), 'b');
      const text = importFunctions<{ double: (n: number) => number }>(
        'data:text/javascript,export const double = (n) => 2 * n',
      );
      assert.equal(await pool.submit(text.double, [4]), 8);
    });

    test('a pool calls functions of every form by their source', async () => {
      const forms = {
        arrow: (a: number, b: number) => a + b,
        async asyncMethod(a: number, b: number) {
          await Promise.resolve();
          return a + b;
        },
        method(a: number, b: number) {
          return a + b;
        },
        function: function named(a: number, b: number) {
          return a + b;
        },
        asyncArrow: async (a: number, b: number) => a + b,
        'quoted name'(a: number, b: number) {
          return a + b;
        },
        async(a: number, b: number) {
          return a + b;
        },
        get(a: number, b: number) {
          return a + b;
        },
        class(a: number, b: number) {
          return a + b;
        },
        static: Statics.add,
      };
      for (const [form, fn] of Object.entries(forms)) assert.equal(await pool.submit(fn, [2, 3]), 5, form);
    });

    test('a pool calls methods with computed names by their source', async () => {
      const outside = Symbol('outside');
      const names = { 'a]': 'b]' };
      const methods = {
        [Symbol.iterator]: Methods.prototype[Symbol.iterator],
        [outside](a: number[], b: number[]) {
          return (a[0] as number) + (b[0] as number);
        },
        async [`${names['a]']}1`](a: number[], b: number[]) {
          return (await Promise.resolve(a[0] as number)) + (b[0] as number);
        },
        get [`${names['a]']}2`]() {
          return Methods.prototype[Symbol.iterator];
        },
      };
      for (const key of Reflect.ownKeys(methods)) {
        const fn = methods[key as typeof outside];
        assert.equal(await pool.submit(fn, [[2], [3]]), 5, String(key));
      }
      const getter = Object.getOwnPropertyDescriptor(
        {
          get [outside]() {
            return 5;
          },
        },
        outside,
      )?.get;
      assert.equal(await pool.submit(getter as () => number, []), 5);
    });

    test('a pool calls functions with named inner functions, which TypeScript loaders wrap, and with default and rest parameters', async () => {
      const sum = await pool.submit(
        (first: number, ...rest: number[]) => {
          const add = (a: number, b = 0): number => a + b;
          function total(values: number[]): number {
            return values.reduce((a, b) => add(a, b), 0);
          }
          class Counter {
            value = total([first, ...rest]);
          }
          return `${new Counter().value} ${add.name} ${total.name}`;
        },
        [1, 2, 3],
      );
      assert.equal(sum, '6 add total');
    });

    test('a function that is sent as source sees the globals and import()', async () => {
      const cpus = await pool.submit(async () => {
        const os = await import('node:os');
        return os.cpus().length > 0 && Buffer.from('x').length === 1 && typeof process.pid === 'number';
      }, []);
      assert.equal(cpus, true);
    });

    test('a pool names the outer variable of a function that is sent as source, and the remedy', async () => {
      const fails = {
        arrow: () => OUTSIDE,
        async later() {
          await Promise.resolve();
          return OUTSIDE;
        },
        inner: () => {
          const inner = (): number => OUTSIDE;
          return inner();
        },
      };
      for (const [name, fn] of Object.entries(fails)) {
        await assert.rejects(pool.submit(fn as () => unknown, []), (error: Error) => {
          assert.equal(error instanceof ReferenceError, true);
          assert.match(
            error.message,
            new RegExp(`^${name} uses \`OUTSIDE\` from outside: .*importFunctions\\(\\)$`),
          );
          assert.equal((error.cause as Error).message, 'OUTSIDE is not defined');
          assert.match(error.stack ?? '', new RegExp(`from outside.*\\n\\s+at .*gyre-job:${name}`));
          return true;
        });
      }
    });

    test('a ReferenceError of a library that the function calls arrives unchanged', async () => {
      await assert.rejects(
        pool.submit(async () => {
          const { broken } = (await import(
            'data:text/javascript,export const broken = () => nowhere' as string
          )) as {
            broken: () => void;
          };
          broken();
        }, []),
        { name: 'ReferenceError', message: 'nowhere is not defined' },
      );
    });
  });
}

class Statics {
  size = 1;

  static add(a: number, b: number): number {
    return a + b;
  }
}

class Methods {
  size = 1;

  [Symbol.iterator](a: number[], b: number[]): number {
    return (a[0] as number) + (b[0] as number);
  }
}

describe('submit() with bad arguments', () => {
  const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  after(() => pool.shutdown());
  const refused = (fn: unknown, message: RegExp): void => {
    assert.throws(() => void pool.submit(fn as () => void, []), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message,
    });
  };
  let workersStarted = 0;
  const count = (): void => {
    workersStarted++;
  };
  before(() => process.on('worker', count));
  after(() => process.off('worker', count));

  test('submit() rejects a value that is no function', () => {
    for (const value of [undefined, null, 'fib', {}, 5])
      refused(value, /The "fn" argument must be a function/);
  });

  test('submit() rejects native, bound and proxied functions, and classes', () => {
    const own = (): number => 5;
    refused(Math.max, /source text; a native or bound function, or a proxy, has none; got function max/);
    refused(own.bind(null), /or a proxy, has none; got function bound own/);
    refused(new Proxy(own, {}), /or a proxy, has none/);
    refused(Statics, /must be a function, not a class; got function Statics/);
    refused(class {}, /must be a function, not a class/);
  });

  test('submit() rejects a private method, because its source cannot be compiled on its own', () => {
    class Holder {
      #secret(): number {
        return 5;
      }
      get method(): unknown {
        return this.#secret;
      }
    }
    assert.throws(
      () => void pool.submit(new Holder().method as () => void, []),
      (error: Error) => {
        assert.match(error.message, /whose source text can be compiled on its own/);
        assert.equal((error.cause as Error).name, 'SyntaxError');
        return true;
      },
    );
  });

  test('submit() rejects arguments that are no array', () => {
    assert.throws(() => void pool.submit(jobs.fib, 5 as unknown as [number]), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'The "args" argument must be an array; got 5',
    });
  });

  test('submit() with bad arguments starts no worker', async () => {
    // The host reports a new worker in a later tick.
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(workersStarted, 0);
    assert.equal(await pool.submit(() => 5, []), 5);
    assert.equal(workersStarted, 1);
  });
});

describe('importFunctions()', () => {
  test('calling a reference of importFunctions() here throws, and says where it can be called', () => {
    assert.throws(() => jobs.fib(5), {
      code: 'ERR_UNSUPPORTED',
      message:
        /^fib of file:.*jobs\.ts stands for a function of a worker .* runInExecutor\(\) or submit\(\)$/,
    });
  });

  test('importFunctions() accepts absolute URLs only', () => {
    for (const value of ['./jobs.js', 'jobs', '', 5, undefined, null]) {
      assert.throws(() => importFunctions(value as string), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  test('importFunctions() returns the same named functions each time, and an object that can be awaited', async () => {
    assert.equal(jobs.fib, jobs.fib);
    assert.equal(jobs.fib.name, 'fib');
    const functions = importFunctions(jobsUrl);
    assert.equal(await functions, functions);
  });

  test('referenceOf() returns the module and name of a reference, and null for other functions', () => {
    assert.deepEqual(referenceOf(jobs.fib), { module: jobsUrl.href, name: 'fib' });
    assert.equal(
      referenceOf(() => {}),
      null,
    );
    assert.throws(() => referenceOf(5 as unknown as () => void), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
