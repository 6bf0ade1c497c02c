/** The native part alone, without gyre's wrapper: the test reads its records. */
import type { Addon, Id } from '../../../src/backend/uv/addon.ts';
import { loadAddon } from '../../../src/backend/uv/addon.ts';
import { hostPass } from '../../helpers/host-pass.ts';

/** The words of a record (native/src/gyre.h). */
export interface EventRecord {
  id: Id;
  kind: number;
  a: number;
  b: number;
  c: number;
  /** The id or slab that `a` names; a slab is dropped after this poll phase. */
  slab: Buffer;
}

export const READ = 1;
export const ENDED = 2;
export const ERROR = 3;
export const WRITTEN = 4;
export const CONNECTED = 5;
export const ACCEPTED = 6;
export const MESSAGE = 7;
export const RESOLVED = 9;
export const EXITED = 10;
export const READ_INTO = 12;

const EVENT_WORDS = 5;
/** A datagram's data follows its sender's address. */
const ADDRESS_BYTES = 32;

/** A copy of the native part, with a table of handles and records of its own. */
export class RawAddon {
  readonly addon: Addon;
  readonly #slabs: Buffer[] = [];
  /** By index: the buffer to read into. */
  readonly buffers: (Uint8Array | undefined)[] = [];
  /** The records that came and were not yet taken. */
  readonly records: EventRecord[] = [];

  constructor() {
    const { addon } = loadAddon((count) => this.#dispatch(count), this.#slabs, this.buffers);
    if (addon === null) throw new Error('there is no native part');
    this.addon = addon;
  }

  /** Waits for a record of this kind, and of this id if it is given, and takes it. */
  async take(kind: number, id?: Id): Promise<EventRecord> {
    for (;;) {
      const at = this.records.findIndex((one) => one.kind === kind && (id === undefined || one.id === id));
      if (at >= 0) return this.records.splice(at, 1)[0] as EventRecord;
      // The native part does not keep the process alive, and only the records report events.
      await hostPass();
    }
  }

  /** Waits until all closed handles are gone, so that `left` handles remain. */
  async untilOpen(count: number): Promise<void> {
    while (this.addon.openCount() > count) await hostPass();
  }

  /** Closes these handles, and waits until none is open. */
  end(ids: readonly Id[]): Promise<void> {
    for (const id of ids) this.addon.close(id);
    return this.untilOpen(0);
  }

  #dispatch(count: number): void {
    const { events } = this.addon;
    for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
      const [id, kind, a, b, c] = events.subarray(at, at + EVENT_WORDS) as unknown as number[];
      this.records.push({ id, kind, a, b, c, slab: this.#slabs[a as number] } as EventRecord);
    }
  }
}

/** Returns the data of a READ or MESSAGE record. */
export function dataOf({ kind, slab, b: offset, c: length }: EventRecord): Buffer {
  const start = kind === MESSAGE ? offset + ADDRESS_BYTES : offset;
  return slab.subarray(start, start + length);
}
