/**
 * The states of a stream, as a table without I/O. The state decides whether a stream may read, write or be
 * closed.
 *
 *              writeEof                finSent
 *        ┌────────────▶ eof queued ────────────▶ eof sent ──┐
 *        │                   └────────────eof───────────────┤
 *   open ┤                                                  ├──▶ closing ──lost──▶ lost
 *        └────────────▶ eof received ───────writeEof────────┘
 *              eof, kept open
 *
 * From every state `close` leads to `closing`, `abort` to `aborted`, and `lost` to `lost`. When both
 * directions have ended, the stream closes itself.
 *
 * - eofQueued: FIN is sent after the last write
 * - closing: the handle is closed after the last write
 * - aborted: the write queue was dropped, and the handle is being closed
 *
 * These facts are not in the table, because each of them may go with several states; the transport
 * (stream-transport.ts) keeps them:
 *
 * - whether reading is paused, and data or an end of file that arrived but was not delivered yet
 * - the water marks (flow-control.ts) and the bytes that are queued or in flight (write-queue.ts)
 * - whether the transport will be flushed at the end of the turn, and whether `sendfile()` is sending
 */
export type StreamState = 'open' | 'eofQueued' | 'eofSent' | 'eofReceived' | 'closing' | 'aborted' | 'lost';

/** `eof`: the peer has sent FIN, and the protocol keeps the writing side open. */
export type StreamEvent = 'writeEof' | 'finSent' | 'eof' | 'close' | 'abort' | 'lost';

/** The transitions of every state that is not ending. */
const ENDS: Readonly<Record<string, StreamState>> = { close: 'closing', abort: 'aborted', lost: 'lost' };

/** An event that is not in a row changes nothing. */
export const TRANSITIONS: Readonly<Record<StreamState, Readonly<Partial<Record<StreamEvent, StreamState>>>>> =
  {
    open: { writeEof: 'eofQueued', eof: 'eofReceived', ...ENDS },
    eofQueued: { finSent: 'eofSent', eof: 'closing', ...ENDS },
    eofSent: { eof: 'closing', ...ENDS },
    eofReceived: { writeEof: 'closing', ...ENDS },
    closing: { abort: 'aborted', lost: 'lost' },
    aborted: { lost: 'lost' },
    lost: {},
  };

/** A pipe has one direction; the other one has ended from the beginning. */
export const INITIAL_STATES: Readonly<Record<'both' | 'read' | 'write', StreamState>> = {
  both: 'open',
  read: 'eofSent',
  write: 'eofReceived',
};

export function nextState(state: StreamState, event: StreamEvent): StreamState {
  return TRANSITIONS[state][event] ?? state;
}

/** Whether the protocol gets data that arrives in this state. */
export function mayRead(state: StreamState): boolean {
  return state === 'open' || state === 'eofSent' || state === 'eofQueued';
}

/** Whether the protocol may write in this state. */
export function mayWrite(state: StreamState): boolean {
  return state === 'open' || state === 'eofReceived';
}

/** Whether queued data still leaves in this state. */
export function maySend(state: StreamState): boolean {
  return state !== 'aborted' && state !== 'lost';
}

export function isEnding(state: StreamState): boolean {
  return state === 'closing' || state === 'aborted' || state === 'lost';
}

/** The state in a leak report, as the program knows it. */
export function reportedState(state: StreamState): string {
  if (state === 'eofQueued') return 'eofSent';
  return state === 'aborted' ? 'closing' : state;
}
