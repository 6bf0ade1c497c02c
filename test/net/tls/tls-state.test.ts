import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TlsEvent, TlsState } from '../../../src/net/tls/tls-state.ts';
import {
  hasHeardEnd,
  hasSentEnd,
  isSecure,
  isShuttingDown,
  nextTlsState,
  TLS_TRANSITIONS,
} from '../../../src/net/tls/tls-state.ts';

const EVENTS: TlsEvent[] = ['secured', 'peerEnd', 'close', 'ownEnd', 'fail', 'lost'];
const STATES = Object.keys(TLS_TRANSITIONS) as TlsState[];

test('each state of a TLS layer handles each event as in this table', () => {
  const table = STATES.map((state) => [state, ...EVENTS.map((event) => nextTlsState(state, event))]);
  assert.deepEqual(table, [
    //            secured      peerEnd      close        ownEnd       fail       lost
    ['handshake', 'open', 'handshake', 'handshake', 'handshake', 'failing', 'lost'],
    ['open', 'open', 'peerEnded', 'closing', 'open', 'failing', 'lost'],
    ['peerEnded', 'peerEnded', 'peerEnded', 'endHeard', 'peerEnded', 'failing', 'lost'],
    ['closing', 'closing', 'endHeard', 'closing', 'endSent', 'failing', 'lost'],
    ['endSent', 'endSent', 'ended', 'endSent', 'endSent', 'failing', 'lost'],
    ['endHeard', 'endHeard', 'endHeard', 'endHeard', 'ended', 'failing', 'lost'],
    ['ended', 'ended', 'ended', 'ended', 'ended', 'failing', 'lost'],
    ['failing', 'failing', 'failing', 'failing', 'failing', 'failing', 'lost'],
    ['lost', 'lost', 'lost', 'lost', 'lost', 'lost', 'lost'],
  ]);
});

test('each state of a TLS layer means what this table says', () => {
  const facts = STATES.map((state) => [
    state,
    isSecure(state),
    isShuttingDown(state),
    hasSentEnd(state),
    hasHeardEnd(state),
  ]);
  assert.deepEqual(facts, [
    //            secure shutting sent  heard
    ['handshake', false, false, false, false],
    ['open', true, false, false, false],
    ['peerEnded', true, false, false, true],
    ['closing', false, true, false, false],
    ['endSent', false, true, true, false],
    ['endHeard', false, true, false, true],
    ['ended', false, true, true, true],
    ['failing', false, false, false, false],
    ['lost', false, false, false, false],
  ]);
});
