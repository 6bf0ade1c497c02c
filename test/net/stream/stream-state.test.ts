import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamEvent, StreamState } from '../../../src/net/stream/stream-state.ts';
import { isEnding, mayRead, mayWrite, nextState, TRANSITIONS } from '../../../src/net/stream/stream-state.ts';

const STATES: StreamState[] = ['open', 'eofSent', 'eofReceived', 'closing', 'lost'];
const EVENTS: StreamEvent[] = ['writeEof', 'eof', 'close', 'lost'];

test('each stream state handles each event as in this table', () => {
  const table = Object.fromEntries(
    STATES.map((state) => [state, EVENTS.map((event) => nextState(state, event))]),
  );
  assert.deepEqual(table, {
    //             writeEof       eof            close      lost
    open: ['eofSent', 'eofReceived', 'closing', 'lost'],
    eofSent: ['eofSent', 'closing', 'closing', 'lost'],
    eofReceived: ['closing', 'eofReceived', 'closing', 'lost'],
    closing: ['closing', 'closing', 'closing', 'lost'],
    lost: ['lost', 'lost', 'lost', 'lost'],
  });
  assert.deepEqual(Object.keys(TRANSITIONS).sort(), [...STATES].sort());
});

test('each stream state allows the actions of this table', () => {
  const permissions = STATES.map((state) => [state, mayRead(state), mayWrite(state), isEnding(state)]);
  assert.deepEqual(permissions, [
    ['open', true, true, false],
    ['eofSent', true, false, false],
    ['eofReceived', false, true, false],
    ['closing', false, false, true],
    ['lost', false, false, true],
  ]);
});

test('no order of events reopens a direction, leaves the end state, or needs more than three steps to reach it', () => {
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
      assert.ok(changes <= 3);
      // Without an open direction there is nothing to wait for.
      assert.equal(isEnding(state), !mayRead(state) && !mayWrite(state));
    }),
  );
});
