/**
 * The life of a stream, as a table. Everything that decides whether a stream may read, write or end is here;
 * this file knows no handle, no loop, no protocol.
 *
 *                    writeEof              eof, kept open
 *        ┌─────────▶ eof sent ────eof────┐
 *   open ┤                               ├──▶ closing ──lost──▶ lost
 *        └─────────▶ eof received ─writeEof┘
 *
 * From each of them `close` leads to closing and `lost` to lost. When both directions have ended there is
 * nothing left to wait for: the stream closes itself.
 */
export type StreamState = 'open' | 'eofSent' | 'eofReceived' | 'closing' | 'lost';

/** `eof`: the peer's, and the protocol wants to go on writing. */
export type StreamEvent = 'writeEof' | 'eof' | 'close' | 'lost';

export const TRANSITIONS: Readonly<Record<StreamState, Readonly<Record<StreamEvent, StreamState>>>> = {
  open: { writeEof: 'eofSent', eof: 'eofReceived', close: 'closing', lost: 'lost' },
  eofSent: { writeEof: 'eofSent', eof: 'closing', close: 'closing', lost: 'lost' },
  eofReceived: { writeEof: 'closing', eof: 'eofReceived', close: 'closing', lost: 'lost' },
  closing: { writeEof: 'closing', eof: 'closing', close: 'closing', lost: 'lost' },
  lost: { writeEof: 'lost', eof: 'lost', close: 'lost', lost: 'lost' },
};

/** A pipe goes one way: its other direction has ended from the beginning. */
export const INITIAL_STATES: Readonly<Record<'both' | 'read' | 'write', StreamState>> = {
  both: 'open',
  read: 'eofSent',
  write: 'eofReceived',
};

export function nextState(state: StreamState, event: StreamEvent): StreamState {
  return TRANSITIONS[state][event];
}

/** Data that arrives in this state is the protocol's. */
export function mayRead(state: StreamState): boolean {
  return state === 'open' || state === 'eofSent';
}

/** Data may be written in this state. */
export function mayWrite(state: StreamState): boolean {
  return state === 'open' || state === 'eofReceived';
}

export function isEnding(state: StreamState): boolean {
  return state === 'closing' || state === 'lost';
}
