import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamEvent, StreamState } from '../../../src/net/stream/stream-state.ts';
import {
  INITIAL_STATES,
  isEnding,
  mayRead,
  maySend,
  mayWrite,
  nextState,
  TRANSITIONS,
} from '../../../src/net/stream/stream-state.ts';

const STATES: StreamState[] = ['open', 'eofQueued', 'eofSent', 'eofReceived', 'closing', 'aborted', 'lost'];
const EVENTS: StreamEvent[] = ['writeEof', 'finSent', 'eof', 'close', 'abort', 'lost'];

test('each stream state handles each event as in this table', () => {
  const table = STATES.map((state) => [state, ...EVENTS.map((event) => nextState(state, event))]);
  assert.deepEqual(table, [
    //               writeEof       finSent        eof            close      abort      lost
    ['open', 'eofQueued', 'open', 'eofReceived', 'closing', 'aborted', 'lost'],
    ['eofQueued', 'eofQueued', 'eofSent', 'closing', 'closing', 'aborted', 'lost'],
    ['eofSent', 'eofSent', 'eofSent', 'closing', 'closing', 'aborted', 'lost'],
    ['eofReceived', 'closing', 'eofReceived', 'eofReceived', 'closing', 'aborted', 'lost'],
    ['closing', 'closing', 'closing', 'closing', 'closing', 'aborted', 'lost'],
    ['aborted', 'aborted', 'aborted', 'aborted', 'aborted', 'aborted', 'lost'],
    ['lost', 'lost', 'lost', 'lost', 'lost', 'lost', 'lost'],
  ]);
  assert.deepEqual(Object.keys(TRANSITIONS).sort(), [...STATES].sort());
});

test('each stream state allows the actions of this table', () => {
  const permissions = STATES.map((state) => [
    state,
    mayRead(state),
    mayWrite(state),
    maySend(state),
    isEnding(state),
  ]);
  assert.deepEqual(permissions, [
    //              read   write  send   ending
    ['open', true, true, true, false],
    ['eofQueued', true, false, true, false],
    ['eofSent', true, false, true, false],
    ['eofReceived', false, true, true, false],
    ['closing', false, false, true, true],
    ['aborted', false, false, false, true],
    ['lost', false, false, false, true],
  ]);
});

test('a pipe begins with the other direction ended, and sends no FIN for it', () => {
  assert.deepEqual(INITIAL_STATES, { both: 'open', read: 'eofSent', write: 'eofReceived' });
});

test('no order of events reopens a direction, leaves the end state, or needs more than five steps to reach it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 20 }), (events) => {
      let state: StreamState = 'open';
      let changes = 0;
      for (const event of events) {
        const next = nextState(state, event);
        assert.ok(mayRead(state) || !mayRead(next), `${state} ${event} lets read again`);
        assert.ok(mayWrite(state) || !mayWrite(next), `${state} ${event} lets write again`);
        assert.ok(!isEnding(state) || isEnding(next), `${state} ${event} leaves the end`);
        if (next !== state) changes++;
        state = next;
      }
      assert.ok(changes <= 5);
      // Without an open direction there is nothing to wait for.
      assert.equal(isEnding(state), !mayRead(state) && !mayWrite(state));
    }),
  );
});
