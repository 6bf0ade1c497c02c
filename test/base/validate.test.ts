import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkBoolean,
  checkData,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPort,
  checkSeconds,
  checkSecondsOrNull,
  checkSignal,
  checkString,
  describeValue,
  invalidArgType,
  outOfRange,
} from '../../src/base/validate.ts';

function thrown(fn: () => void): Error & { code?: string } {
  try {
    fn();
  } catch (error) {
    return error as Error & { code?: string };
  }
  assert.fail('nothing was thrown');
}

/**
 * Checks that `check` rejects the value with a TypeError or RangeError that names the argument, the accepted
 * values and the value.
 */
function refuses(check: () => void, kind: 'type' | 'range', message: string): void {
  const error = thrown(check);
  assert.ok(error instanceof (kind === 'type' ? TypeError : RangeError), String(error));
  assert.equal(error.code, kind === 'type' ? 'ERR_INVALID_ARG_TYPE' : 'ERR_OUT_OF_RANGE');
  assert.equal(error.message, message);
}

test('describeValue() describes any value in a few words', () => {
  class Thing {}
  const pictures: [unknown, string][] = [
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [Number.NaN, 'NaN'],
    [-0, '-0'],
    [1.5, '1.5'],
    [10n, '10n'],
    ['text', '"text"'],
    ['a\nb', '"a\\nb"'],
    [Symbol('s'), 'Symbol(s)'],
    [[1, 2], 'an array of 2'],
    [{}, 'an instance of Object'],
    [new Thing(), 'an instance of Thing'],
    [Object.create(null), 'an object'],
    [function named() {}, 'function named'],
    [() => {}, 'an anonymous function'],
  ];
  for (const [value, picture] of pictures) assert.equal(describeValue(value), picture);
});

test('describeValue() cuts long strings', () => {
  const picture = describeValue('x'.repeat(10_000));
  assert.equal(picture, `"${'x'.repeat(60)}…"`);
});

test('describeValue() accepts objects whose constructor or name is no function or string', () => {
  assert.equal(describeValue({ constructor: undefined }), 'an object');
  assert.equal(describeValue({ constructor: { name: 5 } }), 'an object');
  const odd = Object.defineProperty(() => {}, 'name', { value: 5 });
  assert.equal(describeValue(odd), 'an anonymous function');
});

test('invalidArgType() and outOfRange() name the argument, the accepted values and the value, with the codes of Node', () => {
  refuses(
    () => {
      throw invalidArgType('x', 1, 'a string');
    },
    'type',
    'The "x" argument must be a string; got 1',
  );
  refuses(
    () => {
      throw outOfRange('x', -1, 'positive');
    },
    'range',
    'The "x" argument must be positive; got -1',
  );
});

test('checkFunction() accepts functions and classes only', () => {
  for (const value of [() => {}, class {}, async () => {}]) checkFunction('f', value);
  for (const value of [undefined, null, {}, 'f']) {
    refuses(
      () => checkFunction('f', value),
      'type',
      `The "f" argument must be a function; got ${describeValue(value)}`,
    );
  }
});

test('checkSeconds() accepts any number but NaN', () => {
  for (const value of [0, -1, 1.5, 1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    checkSeconds('s', value);
  refuses(
    () => checkSeconds('s', Number.NaN),
    'range',
    'The "s" argument must be a number of seconds, not NaN; got NaN',
  );
  refuses(() => checkSeconds('s', '1'), 'type', 'The "s" argument must be a number of seconds; got "1"');
  refuses(() => checkSeconds('s', null), 'type', 'The "s" argument must be a number of seconds; got null');
  refuses(() => checkSeconds('s', 1n), 'type', 'The "s" argument must be a number of seconds; got 1n');
});

test('checkSecondsOrNull() accepts null for "no limit"', () => {
  checkSecondsOrNull('s', null);
  checkSecondsOrNull('s', 1);
  refuses(
    () => checkSecondsOrNull('s', undefined),
    'type',
    'The "s" argument must be a number of seconds or null; got undefined',
  );
  refuses(
    () => checkSecondsOrNull('s', Number.NaN),
    'range',
    'The "s" argument must be a number of seconds, not NaN; got NaN',
  );
});

test('checkBoolean() and checkString() reject other types without conversion', () => {
  checkBoolean('b', false);
  checkString('s', '');
  refuses(() => checkBoolean('b', 1), 'type', 'The "b" argument must be a boolean; got 1');
  refuses(() => checkString('s', 1), 'type', 'The "s" argument must be a string; got 1');
});

test('checkInteger() distinguishes a wrong type from a number out of range', () => {
  checkInteger('n', 0, 0, 10);
  checkInteger('n', 10, 0, 10);
  for (const value of [-1, 11, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    refuses(
      () => checkInteger('n', value, 0, 10),
      'range',
      `The "n" argument must be an integer from 0 to 10; got ${value}`,
    );
  }
  refuses(
    () => checkInteger('n', '5', 0, 10),
    'type',
    'The "n" argument must be an integer from 0 to 10; got "5"',
  );
});

test('checkPort() accepts 0 to 65535', () => {
  checkPort('port', 0);
  checkPort('port', 65_535);
  refuses(
    () => checkPort('port', 65_536),
    'range',
    'The "port" argument must be an integer from 0 to 65535; got 65536',
  );
});

test('checkSignal() accepts an AbortSignal or undefined', () => {
  checkSignal('signal', undefined);
  checkSignal('signal', new AbortController().signal);
  refuses(
    () => checkSignal('signal', {}),
    'type',
    'The "signal" argument must be an AbortSignal; got an instance of Object',
  );
});

test('checkData() accepts strings and bytes', () => {
  for (const value of ['', new Uint8Array(1), Buffer.from('x')]) checkData('data', value);
  for (const value of [5, null, [1], new ArrayBuffer(1), new Uint16Array(1)]) {
    refuses(
      () => checkData('data', value),
      'type',
      `The "data" argument must be a string or a Uint8Array; got ${describeValue(value)}`,
    );
  }
});

test('checkOptions() rejects unknown options, and options that are no object', () => {
  checkOptions('options', undefined, ['a']);
  checkOptions('options', {}, ['a']);
  checkOptions('options', { a: undefined }, ['a']);
  refuses(
    () => checkOptions('options', { b: 1 }, ['a']),
    'type',
    'The "options.b" argument must be absent (known options: a); got 1',
  );
  for (const value of [null, 5, 'a', [], () => {}]) {
    refuses(
      () => checkOptions('options', value, ['a']),
      'type',
      `The "options" argument must be an object; got ${describeValue(value)}`,
    );
  }
});
