/**
 * The states of a stream, as a table without I/O. The state decides whether a stream may read, write or be
 * closed.
 *
 *                    writeEof              eof, kept open
 *        ┌─────────▶ eof sent ────eof────┐
 *   open ┤                               ├──▶ closing ──lost──▶ lost
 *        └─────────▶ eof received ─writeEof┘
 *
 * From every state `close` leads to `closing`, and `lost` to `lost`. When both directions have ended, the
 * stream closes itself.
 *
 * These facts are not in the table; the transport (stream-transport.ts) keeps them:
 *
 * - whether the connection was aborted: the state is then `closing`, but the write queue is dropped and not
 *   sent
 * - whether FIN was sent: in `eofSent` the transport sends FIN after the last write, and only once
 * - whether reading is paused, and data or an end of file that arrived but was not delivered yet
 * - the water marks (flow-control.ts) and the bytes that are queued or in flight (write-queue.ts)
 */
export type StreamState = 'open' | 'eofSent' | 'eofReceived' | 'closing' | 'lost';

/** `eof`: the peer has sent FIN, and the protocol keeps the writing side open. */
export type StreamEvent = 'writeEof' | 'eof' | 'close' | 'lost';

export const TRANSITIONS: Readonly<Record<StreamState, Readonly<Record<StreamEvent, StreamState>>>> = {
  open: { writeEof: 'eofSent', eof: 'eofReceived', close: 'closing', lost: 'lost' },
  eofSent: { writeEof: 'eofSent', eof: 'closing', close: 'closing', lost: 'lost' },
  eofReceived: { writeEof: 'closing', eof: 'eofReceived', close: 'closing', lost: 'lost' },
  closing: { writeEof: 'closing', eof: 'closing', close: 'closing', lost: 'lost' },
  lost: { writeEof: 'lost', eof: 'lost', close: 'lost', lost: 'lost' },
};

/** A pipe has one direction; the other one has ended from the beginning. */
export const INITIAL_STATES: Readonly<Record<'both' | 'read' | 'write', StreamState>> = {
  both: 'open',
  read: 'eofSent',
  write: 'eofReceived',
};

export function nextState(state: StreamState, event: StreamEvent): StreamState {
  return TRANSITIONS[state][event];
}

/** Whether the protocol gets data that arrives in this state. */
export function mayRead(state: StreamState): boolean {
  return state === 'open' || state === 'eofSent';
}

/** Whether the protocol may write in this state. */
export function mayWrite(state: StreamState): boolean {
  return state === 'open' || state === 'eofReceived';
}

export function isEnding(state: StreamState): boolean {
  return state === 'closing' || state === 'lost';
}
