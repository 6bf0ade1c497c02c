import assert from 'node:assert/strict';
import type { Mock } from 'node:test';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { handleException, printException } from '../../src/loop/exception-handler.ts';
import { reportText } from '../../src/loop/report.ts';
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

/** The lines before the stack. */
function titles(): string[] {
  return printed().map(([text]) => String(text).split(/\n +at /)[0] as string);
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
  const stack = String(exception.stack).replace(/^/gm, '  ');
  assert.deepEqual(printed(), [[`gyre: it broke\n  task: Thing mine\n  extra: Number\n${stack}`]]);
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
  assert.deepEqual(titles(), ['gyre: exception in the exception handler\n  Error: bug']);
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
  assert.deepEqual(titles(), ['gyre: exception in the default exception handler\n  Error: bug']);
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
  assert.deepEqual(titles(), ['gyre: exception in the exception handler\n  Error: bug']);
});

test('a report is one line of JSON if GYRE_REPORTS asks for it', (t) => {
  process.env.GYRE_REPORTS = 'json';
  t.after(() => delete process.env.GYRE_REPORTS);
  const cause = new TypeError('below');
  const exception = Object.assign(new Error('bug', { cause }), { code: 'EBUG' });
  printException({ message: 'it broke', exception, owner: 'main', ageSeconds: 2, left: ['a socket'] });
  const [[text]] = printed() as [[string]];
  assert.doesNotMatch(text, /\n/);
  const { error: told, ...rest } = JSON.parse(text);
  assert.deepEqual(rest, {
    level: 'error',
    name: 'gyre',
    message: 'it broke',
    'made by': 'task main',
    age: '2.000 seconds',
    'left in the loop': ['a socket'],
  });
  assert.equal(told.code, 'EBUG');
  assert.equal(told.message, 'bug');
  assert.match(told.stack, /exception-handler\.test/);
  assert.equal(told.cause.name, 'TypeError');
});

test('a report in a terminal has its title in red', () => {
  assert.equal(reportText({ message: 'it broke' }, true), '\u001b[31mgyre: it broke\u001b[39m');
});
