import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BrokenBarrierError,
  CancelledError,
  IncompleteReadError,
  InvalidStateError,
  LimitOverrunError,
  LoopError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  TimeoutError,
} from '../../src/index.ts';

const cause = new Error('why');
const errors: [Error & { code: string }, name: string, code: string][] = [
  [new LoopError('ERR_LOOP_CLOSED', 'text', { cause }), 'LoopError', 'ERR_LOOP_CLOSED'],
  [new CancelledError('text', { cause }), 'CancelledError', 'ERR_CANCELLED'],
  [new TimeoutError('text', { cause }), 'TimeoutError', 'ERR_TIMEOUT'],
  [new InvalidStateError('text', { cause }), 'InvalidStateError', 'ERR_INVALID_STATE'],
  [new IncompleteReadError(Buffer.from('abc'), 5, { cause }), 'IncompleteReadError', 'ERR_INCOMPLETE_READ'],
  [new LimitOverrunError('text', 3, { cause }), 'LimitOverrunError', 'ERR_LIMIT_OVERRUN'],
  [new QueueEmpty('text', { cause }), 'QueueEmpty', 'ERR_QUEUE_EMPTY'],
  [new QueueFull('text', { cause }), 'QueueFull', 'ERR_QUEUE_FULL'],
  [new QueueShutDown('text', { cause }), 'QueueShutDown', 'ERR_QUEUE_SHUT_DOWN'],
  [new BrokenBarrierError('text', { cause }), 'BrokenBarrierError', 'ERR_BROKEN_BARRIER'],
];

for (const [error, name, code] of errors) {
  test(`${name} is an Error with a name, a code, a cause and a stack`, () => {
    assert.ok(error instanceof Error);
    assert.equal(error.name, name);
    assert.equal(error.constructor.name, name);
    assert.equal(error.code, code);
    assert.equal(error.cause, cause);
    assert.match(String(error.stack), new RegExp(`${name}|Error`));
    assert.match(String(error.stack), /errors\.test\.ts/);
  });
}

test('errors have no cause unless the constructor got one', () => {
  assert.equal('cause' in new CancelledError('text'), false);
  assert.equal('cause' in new LoopError('ERR_LOOP_CLOSED', 'text'), false);
});

test('IncompleteReadError holds the partial data and the expected number of bytes', () => {
  const bytes = new IncompleteReadError(Buffer.from('abc'), 5);
  assert.equal(String(bytes.partial), 'abc');
  assert.equal(bytes.expected, 5);
  assert.equal(bytes.message, 'the stream ended after 3 bytes, before 5 bytes');
  const line = new IncompleteReadError(Buffer.alloc(0), null);
  assert.equal(line.expected, null);
  assert.equal(line.message, 'the stream ended after 0 bytes, before the separator');
});

test('LimitOverrunError holds the number of bytes without a separator', () => {
  assert.equal(new LimitOverrunError('too long', 17).consumed, 17);
});
