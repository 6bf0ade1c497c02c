import assert from 'node:assert/strict';
import type { Mock } from 'node:test';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { handleException, printException } from '../../src/loop/exception-handler.ts';
import type { ExceptionContext, Loop } from '../../src/loop/types.ts';

const loop = {} as Loop;
let error: Mock<typeof console.error>;

beforeEach(() => {
  error = mock.method(console, 'error', () => {});
});
afterEach(() => error.mock.restore());

function printed(): unknown[][] {
  return error.mock.calls.map((call) => call.arguments);
}

test('an exception is printed with its message, with what it concerns by kind and name, and with its stack', () => {
  const exception = new Error('bug');
  class Thing {
    name = 'mine';
  }
  printException({
    message: 'it broke',
    exception,
    task: new Thing(),
    handle: null,
    future: undefined,
    extra: 5,
  });
  assert.deepEqual(printed(), [['gyre: it broke\n  task: Thing mine\n  extra: Number', exception]]);
});

test('what has no exception is printed without one', () => {
  printException({ message: 'only words' });
  assert.deepEqual(printed(), [['gyre: only words']]);
});

test('printing survives objects without a constructor', () => {
  printException({ message: 'odd', transport: Object.create(null) });
  assert.deepEqual(printed(), [['gyre: odd\n  transport: object']]);
});

test('the user’s handler is told, and nothing is printed', () => {
  const told: unknown[] = [];
  const context: ExceptionContext = { message: 'it broke' };
  handleException(
    loop,
    (...args) => told.push(...args),
    () => assert.fail(),
    context,
  );
  assert.deepEqual(told, [loop, context]);
  assert.deepEqual(printed(), []);
});

test('a handler that throws is printed, and the context goes to the default handler', () => {
  const told: ExceptionContext[] = [];
  const context: ExceptionContext = { message: 'it broke' };
  const bug = new Error('bug');
  handleException(
    loop,
    () => {
      throw bug;
    },
    (given) => told.push(given),
    context,
  );
  assert.deepEqual(told, [context]);
  assert.deepEqual(printed(), [['gyre: exception in the exception handler', bug]]);
});

test('a default handler that throws is printed, and nothing is thrown', () => {
  const bug = new Error('bug');
  handleException(
    loop,
    null,
    () => {
      throw bug;
    },
    { message: 'it broke' },
  );
  assert.deepEqual(printed(), [['gyre: exception in the default exception handler', bug]]);
});

test('an async handler that fails is no unhandled rejection', async () => {
  const bug = new Error('bug');
  handleException(
    loop,
    async () => {
      throw bug;
    },
    () => assert.fail(),
    { message: 'it broke' },
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(printed(), [['gyre: exception in the exception handler', bug]]);
});
