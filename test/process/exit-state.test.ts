import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExitState } from '../../src/process/exit-state.ts';

test('ExitState without pipes is over when the child exits', () => {
  const state = new ExitState([]);
  assert.deepEqual([state.exited, state.over], [false, false]);
  assert.equal(state.exit(), true);
  assert.deepEqual([state.exited, state.over], [true, true]);
});

test('ExitState is over with the last pipe when the child exits first', () => {
  const state = new ExitState([0, 1, 2]);
  assert.equal(state.exit(), false);
  assert.deepEqual([state.exited, state.over], [true, false]);
  assert.deepEqual([state.pipeLost(1), state.pipeLost(0), state.over], [false, false, false]);
  assert.equal(state.pipeLost(2), true);
  assert.equal(state.over, true);
});

test('ExitState is over at the exit when the pipes end first', () => {
  const state = new ExitState([1]);
  assert.deepEqual([state.pipeLost(1), state.over], [false, false]);
  assert.equal(state.exit(), true);
});

test('ExitState is over exactly once, for any order and repetition of events', () => {
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
