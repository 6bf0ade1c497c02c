/**
 * Writes the trace of a world to a file in the format of `gyre trace` (trace-events.ts in base/).
 *
 * Each host is a thread of the file. Code takes no time in a simulation, so each entry is an instant.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { WorldTraceEntry } from '../backend/sim/world-trace.ts';
import type { TraceEvent } from '../base/trace-events.ts';
import { TRACE_FILE } from '../base/trace-events.ts';

/** Taken at once, because the file is of the real machine, whatever replaces the functions later. */
const real = { open: openSync, write: writeSync, close: closeSync };

const BUFFER_CHARACTERS = 65_536;

export class WorldTraceFile {
  readonly #descriptor: number;
  readonly #hosts: Map<string, number> = new Map();
  #text: string = TRACE_FILE.head;
  #isEmpty: boolean = true;

  /** @throws the system's error if the file cannot be written */
  constructor(path: string) {
    this.#descriptor = real.open(path, 'w');
  }

  /** Writes all entries, and closes the file. */
  finish(entries: readonly WorldTraceEntry[]): void {
    try {
      for (const entry of entries) this.#add(entry);
      this.#text += TRACE_FILE.tail;
      this.#flush();
    } finally {
      real.close(this.#descriptor);
    }
  }

  #add({ time, host, kind, label }: WorldTraceEntry): void {
    const tid = this.#numberOf(host);
    this.#push({ name: label, ph: 'i', s: 't', cat: kind, ts: time * 1e6, pid: 1, tid });
  }

  /** Numbers the hosts by their first entries, so that the numbers depend on the run alone. */
  #numberOf(host: string): number {
    let tid = this.#hosts.get(host);
    if (tid === undefined) {
      tid = this.#hosts.size;
      this.#hosts.set(host, tid);
      const name = host === '' ? 'world' : host;
      this.#push({ name: 'thread_name', ph: 'M', ts: 0, pid: 1, tid, args: { name } });
    }
    return tid;
  }

  #push(event: TraceEvent): void {
    this.#text += (this.#isEmpty ? '' : TRACE_FILE.between) + JSON.stringify(event);
    this.#isEmpty = false;
    if (this.#text.length >= BUFFER_CHARACTERS) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    for (let at = 0; at < bytes.length; ) at += real.write(this.#descriptor, bytes, at);
  }
}
