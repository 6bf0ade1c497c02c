/** A pending operation of a backend. Types only. */

/** A pending operation. After `cancel()` it calls no callback. */
export interface RawRequest {
  cancel(): void;
}
