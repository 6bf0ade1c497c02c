/**
 * Calls each method of the loop with arguments that it rejects. The error comes at the call and names the
 * argument, the value and the accepted values. Nothing is left half-started.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { sleep } from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';

type Call = (loop: SimulatedEventLoop, value: never) => unknown;

interface Case {
  method: string;
  call: Call;
  argument: string;
  accepted: string;
  /** Bad values, each with its description in the message. */
  wrongTypes?: [unknown, string][];
  outOfRange?: [unknown, string][];
}

const nothing = async (): Promise<void> => {};
class Thing {}

const noFunctions: [unknown, string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  [5, '5'],
  ['callback', '"callback"'],
  [{}, 'an instance of Object'],
  [Promise.resolve(), 'an instance of Promise'],
];
const noNumbers: [unknown, string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  ['1', '"1"'],
  [1n, '1n'],
  [true, 'true'],
  [new Date(0), 'an instance of Date'],
  [[1], 'an array of 1'],
  [Symbol('one'), 'Symbol(one)'],
  [() => 1, 'an anonymous function'],
];
const noAwaitables: [unknown, string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  [5, '5'],
  ['aw', '"aw"'],
  [new Thing(), 'an instance of Thing'],
  [[nothing()], 'an array of 1'],
];
const noFunctionOrNull = noFunctions.filter(([value]) => value !== null);

const cases: Case[] = [
  {
    method: 'callSoon',
    call: (loop, value) => loop.callSoon(value),
    argument: 'callback',
    accepted: 'a function',
    wrongTypes: noFunctions,
  },
  {
    method: 'callSoonThreadsafe',
    call: (loop, value) => loop.callSoonThreadsafe(value),
    argument: 'callback',
    accepted: 'a function',
    wrongTypes: noFunctions,
  },
  {
    method: 'callLater',
    call: (loop, value) => loop.callLater(value, () => {}),
    argument: 'delaySeconds',
    accepted: 'a number of seconds',
    wrongTypes: noNumbers,
  },
  {
    method: 'callLater',
    call: (loop, value) => loop.callLater(value, () => {}),
    argument: 'delaySeconds',
    accepted: 'a number of seconds, not NaN',
    outOfRange: [[Number.NaN, 'NaN']],
  },
  {
    method: 'callLater',
    call: (loop, value) => loop.callLater(1, value),
    argument: 'callback',
    accepted: 'a function',
    wrongTypes: noFunctions,
  },
  {
    method: 'callAt',
    call: (loop, value) => loop.callAt(value, () => {}),
    argument: 'when',
    accepted: 'a number of seconds',
    wrongTypes: noNumbers,
  },
  {
    method: 'callAt',
    call: (loop, value) => loop.callAt(value, () => {}),
    argument: 'when',
    accepted: 'a number of seconds, not NaN',
    outOfRange: [[Number.NaN, 'NaN']],
  },
  {
    method: 'callAt',
    call: (loop, value) => loop.callAt(1, value),
    argument: 'callback',
    accepted: 'a function',
    wrongTypes: noFunctions,
  },
  {
    method: 'runUntilComplete',
    call: (loop, value) => loop.runUntilComplete(value),
    argument: 'aw',
    accepted: 'a future, a promise or a function',
    wrongTypes: noAwaitables,
  },
  {
    method: 'createTask',
    call: (loop, value) => loop.createTask(value),
    argument: 'fn',
    accepted: 'a function or a promise',
    wrongTypes: noAwaitables,
  },
  {
    method: 'createTask',
    call: (loop, value) => loop.createTask(nothing, value),
    argument: 'options',
    accepted: 'an object',
    wrongTypes: [
      [null, 'null'],
      ['name', '"name"'],
      [['name'], 'an array of 1'],
    ],
  },
  {
    method: 'createTask',
    call: (loop, value) => loop.createTask(nothing, { name: value }),
    argument: 'options.name',
    accepted: 'a string',
    wrongTypes: [
      [null, 'null'],
      [5, '5'],
      [Symbol('name'), 'Symbol(name)'],
    ],
  },
  {
    method: 'createTask',
    call: (loop, value) => loop.createTask(nothing, { eager: value }),
    argument: 'options.eager',
    accepted: 'a boolean',
    wrongTypes: [
      [null, 'null'],
      [1, '1'],
      ['yes', '"yes"'],
    ],
  },
  {
    method: 'createTask',
    call: (loop, value) => loop.createTask(nothing, { weight: value } as never),
    argument: 'options.weight',
    accepted: 'absent (known options: name, eager, signal, context)',
    wrongTypes: [[5, '5']],
  },
  {
    method: 'setTaskFactory',
    call: (loop, value) => loop.setTaskFactory(value),
    argument: 'factory',
    accepted: 'a function',
    wrongTypes: noFunctionOrNull,
  },
  {
    method: 'setExceptionHandler',
    call: (loop, value) => loop.setExceptionHandler(value),
    argument: 'handler',
    accepted: 'a function',
    wrongTypes: noFunctionOrNull,
  },
  {
    method: 'debug',
    call: (loop, value) => {
      loop.debug = value;
    },
    argument: 'debug',
    accepted: 'a boolean',
    wrongTypes: [
      [undefined, 'undefined'],
      [1, '1'],
      ['1', '"1"'],
    ],
  },
];

const makeLoop = (): SimulatedEventLoop => new SimulatedEventLoop();

function nothingIsLeft(loop: SimulatedEventLoop): void {
  const { tasks, resources, unretrieved } = loop._owned;
  assert.deepEqual([tasks.size, resources.size, unretrieved.size], [0, 0, 0]);
  assert.deepEqual([loop._scheduler.ready.length, loop._scheduler.timers.size], [0, 0]);
  assert.equal(loop.isRunning(), false);
}

for (const { method, call, argument, accepted, wrongTypes = [], outOfRange = [] } of cases) {
  const picture = [...wrongTypes, ...outOfRange].map(([, words]) => words).join(', ');
  test(`${method}() rejects ${picture} as ${argument} (${accepted})`, () =>
    withLoop(makeLoop, (loop) => {
      const kinds = [
        ['TypeError', 'ERR_INVALID_ARG_TYPE', wrongTypes],
        ['RangeError', 'ERR_OUT_OF_RANGE', outOfRange],
      ] as const;
      for (const [name, code, values] of kinds) {
        for (const [value, words] of values) {
          assert.throws(() => call(loop, value as never), {
            name,
            code,
            message: `The "${argument}" argument must be ${accepted}; got ${words}`,
          });
          nothingIsLeft(loop);
        }
      }
    }));
}

test('callLater() and callAt() accept huge, negative and infinite times', () =>
  withLoop(makeLoop, async (loop) => {
    const log: string[] = [];
    for (const delay of [-1, -0, Number.NEGATIVE_INFINITY, -Number.MAX_VALUE, Number.MIN_VALUE]) {
      loop.callLater(delay, () => log.push('now'));
      loop.callAt(delay, () => log.push('now'));
    }
    for (const delay of [Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
      loop.callLater(delay, () => log.push('never'));
      loop.callAt(delay, () => log.push('never'));
    }
    await loop.runUntilComplete(() => sleep(1));
    assert.deepEqual(log, Array(10).fill('now'));
  }));

test('runUntilComplete() and createTask() reject a future of another loop, and name it', () =>
  withLoop(makeLoop, (loop) =>
    withLoop(makeLoop, async (other) => {
      const foreign = [other.createFuture(), other.createTask(nothing)];
      for (const future of foreign) {
        const error = {
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
          message: /of this loop, not of another one; got an instance of/,
        };
        assert.throws(() => loop.runUntilComplete(future), error);
        assert.throws(() => loop.createTask(future), error);
        nothingIsLeft(loop);
      }
      await other.runUntilComplete(() => sleep(0));
    }),
  ));

test('callSoon() accepts a class as callback, and the loop reports the error of calling it', () =>
  withLoop(makeLoop, async (loop, reports) => {
    loop.callSoon(Thing as never);
    await loop.runUntilComplete(() => sleep(0));
    const [report] = reports.take();
    assert.ok(report?.exception instanceof TypeError);
  }));

test('callExceptionHandler() never throws for any context', () =>
  withLoop(makeLoop, (loop) => {
    const told: unknown[] = [];
    loop.setExceptionHandler((_loop, context) => told.push(context));
    for (const context of [undefined, null, 5, {}]) loop.callExceptionHandler(context as never);
    assert.deepEqual(told, [undefined, null, 5, {}]);
  }));

test('createTask() throws the error of its task factory, and leaves nothing behind', () =>
  withLoop(makeLoop, (loop) => {
    const bug = new Error('no tasks today');
    loop.setTaskFactory(() => {
      throw bug;
    });
    assert.throws(() => loop.createTask(nothing), bug);
    nothingIsLeft(loop);
  }));

test('runUntilComplete() rejects when the function throws, and resolves when it returns no promise', () =>
  withLoop(makeLoop, async (loop) => {
    const bug = new Error('bug');
    await assert.rejects(
      loop.runUntilComplete(() => {
        throw bug;
      }),
      bug,
    );
    assert.equal(await loop.runUntilComplete((() => 5) as never), 5);
  }));
