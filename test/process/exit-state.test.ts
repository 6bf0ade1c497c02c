import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExitState } from '../../src/process/exit-state.ts';

test('a child without pipes is over when it has ended', () => {
  const state = new ExitState([]);
  assert.deepEqual([state.exited, state.over], [false, false]);
  assert.equal(state.exit(), true);
  assert.deepEqual([state.exited, state.over], [true, true]);
});

test('a child that ends before its pipes is over with the last of them', () => {
  const state = new ExitState([0, 1, 2]);
  assert.equal(state.exit(), false);
  assert.deepEqual([state.exited, state.over], [true, false]);
  assert.deepEqual([state.pipeLost(1), state.pipeLost(0), state.over], [false, false, false]);
  assert.equal(state.pipeLost(2), true);
  assert.equal(state.over, true);
});

test('a child that ends after its pipes is over then', () => {
  const state = new ExitState([1]);
  assert.deepEqual([state.pipeLost(1), state.over], [false, false]);
  assert.equal(state.exit(), true);
});

test('whatever the order, and told however often, the end comes exactly once', () => {
  const events = fc.array(fc.constantFrom<'exit' | 0 | 1 | 2>('exit', 0, 1, 2), { maxLength: 20 });
  fc.assert(
    fc.property(events, fc.subarray([0, 1, 2]), (told, pipes) => {
      const state = new ExitState(pipes);
      const ends = told.filter((event) => (event === 'exit' ? state.exit() : state.pipeLost(event))).length;
      const complete = told.includes('exit') && pipes.every((fd) => told.includes(fd as 0 | 1 | 2));
      assert.equal(ends, complete ? 1 : 0);
      assert.equal(state.over, complete);
    }),
  );
});
