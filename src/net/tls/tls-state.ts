/**
 * The states of a TLS layer, as a table without I/O.
 *
 *                          peerEnd                 close
 *                  ┌───────────────▶ peer ended ──────────▶ end heard ──ownEnd──┐
 *   handshake      │                                            ▲               ▼
 *       └─secured─▶ open ──close──▶ closing ──────peerEnd───────┘             ended
 *                                      └────ownEnd────▶ end sent ──peerEnd──────▲
 *
 * From every state `fail` leads to `failing`, and `lost` to `lost`.
 *
 * - peerEnded: the peer's close_notify came, and this side may still write
 * - closing: the layer sends its close_notify and waits for the peer's; it drops data that arrives meanwhile
 * - endSent, endHeard: one of the two has left, or has come
 * - ended: the transport below is closed
 * - failing: the layer ends the transport below with an error
 *
 * These facts are not in the table, because each of them may go with several states; the layer
 * (tls-stream.ts) keeps them:
 *
 * - whether the transport above reads, and data or an end that was not delivered yet
 * - the data that is not encrypted yet (tls-plain-queue.ts), and whether the transport below is full
 * - whether everything with our close_notify has left the transport below: a loss is then no error
 */
export type TlsState =
  | 'handshake'
  | 'open'
  | 'peerEnded'
  | 'closing'
  | 'endSent'
  | 'endHeard'
  | 'ended'
  | 'failing'
  | 'lost';

/** `ownEnd`: our close_notify was passed on. `peerEnd`: the peer's came, or its bytes ended without it. */
export type TlsEvent = 'secured' | 'peerEnd' | 'close' | 'ownEnd' | 'fail' | 'lost';

const ENDS: Readonly<Record<string, TlsState>> = { fail: 'failing', lost: 'lost' };

/** An event that is not in a row changes nothing. */
export const TLS_TRANSITIONS: Readonly<Record<TlsState, Readonly<Partial<Record<TlsEvent, TlsState>>>>> = {
  handshake: { secured: 'open', ...ENDS },
  open: { peerEnd: 'peerEnded', close: 'closing', ...ENDS },
  peerEnded: { close: 'endHeard', ...ENDS },
  closing: { ownEnd: 'endSent', peerEnd: 'endHeard', ...ENDS },
  endSent: { peerEnd: 'ended', ...ENDS },
  endHeard: { ownEnd: 'ended', ...ENDS },
  ended: { ...ENDS },
  failing: { lost: 'lost' },
  lost: {},
};

export function nextTlsState(state: TlsState, event: TlsEvent): TlsState {
  return TLS_TRANSITIONS[state][event] ?? state;
}

/** Whether data is delivered, and may be written. */
export function isSecure(state: TlsState): boolean {
  return state === 'open' || state === 'peerEnded';
}

/** Whether the layer shuts down in order. */
export function isShuttingDown(state: TlsState): boolean {
  return state === 'closing' || state === 'endSent' || state === 'endHeard' || state === 'ended';
}

export function hasSentEnd(state: TlsState): boolean {
  return state === 'endSent' || state === 'ended';
}

export function hasHeardEnd(state: TlsState): boolean {
  return state === 'peerEnded' || state === 'endHeard' || state === 'ended';
}
