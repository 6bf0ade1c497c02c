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

test('printException() prints the message, the kind and name of the objects concerned, and the stack', () => {
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

test('printException() prints a context that has no exception', () => {
  printException({ message: 'only words' });
  assert.deepEqual(printed(), [['gyre: only words']]);
});

test('printException() prints objects without a constructor', () => {
  printException({ message: 'odd', transport: Object.create(null) });
  assert.deepEqual(printed(), [['gyre: odd\n  transport: object']]);
});

test('handleException() passes the context to the user’s handler, and prints nothing', () => {
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

test('the loop prints the error of an exception handler that throws, and passes the context to the default handler', () => {
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

test('the loop prints the error of a default exception handler that throws, and throws nothing', () => {
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

test('the rejection of an async exception handler is not an unhandled rejection', async () => {
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
