/** `gyre trace`: writes what the loops of a process did, and do for some seconds, to a file. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { ThreadRecording, TraceEvent } from '../../base/trace-events.ts';
import { TRACE_FILE, TraceMaker } from '../../base/trace-events.ts';
import { getRunningLoop, sleep } from '../../index.ts';
import type { Probe } from '../attach/probe.ts';
import { bytes, count } from '../format.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import { Problem } from '../problem.ts';
import type { Arguments } from '../usage.ts';

/** Seconds between two readings. The recorder of a busy process overwrites its events meanwhile. */
const PAUSE = 0.05;

/** The trace of all threads, as a file that gets its name when it is whole. */
class TraceFile {
  readonly #file: string;
  readonly #part: string;
  readonly #descriptor: number;
  readonly #most: number;
  #size: number = 0;
  events: number = 0;

  constructor(file: string, mostBytes: number) {
    this.#file = file;
    this.#part = `${file}.${process.pid}.part`;
    this.#most = mostBytes;
    this.#descriptor = writing(file, () => openSync(this.#part, 'wx'));
    this.#write(TRACE_FILE.head);
  }

  get size(): number {
    return this.#size;
  }

  /** Returns false if the file would become too large. */
  add(event: TraceEvent): boolean {
    const text = (this.events === 0 ? '' : TRACE_FILE.between) + JSON.stringify(event);
    const end = Buffer.byteLength(TRACE_FILE.tail);
    if (this.#size + Buffer.byteLength(text) + end > this.#most) return false;
    this.#write(text);
    this.events++;
    return true;
  }

  finish(): void {
    this.#write(TRACE_FILE.tail);
    closeSync(this.#descriptor);
    writing(this.#file, () => renameSync(this.#part, this.#file));
  }

  /** Removes what was written, unless the file is finished. */
  discard(): void {
    try {
      closeSync(this.#descriptor);
    } catch {
      return; // finished
    }
    rmSync(this.#part, { force: true });
  }

  #write(text: string): void {
    const data = Buffer.from(text);
    let written = 0;
    while (written < data.length) {
      written += writing(this.#file, () => writeSync(this.#descriptor, data, written));
    }
    this.#size += data.length;
  }
}

function writing<T>(file: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw new Problem(`can't write ${file}: ${(error as Error).message}`, [
      'Name another file with -o FILE.',
    ]);
  }
}

export async function trace(
  { pid, json, seconds = 2, output: file = `gyre-${pid}.json`, megabytes }: Arguments,
  probe: Probe,
  output: Output,
): Promise<number> {
  const reader = new RecordingReader(probe);
  const first = await reader.read();
  if (first.length === 0) {
    throw new Problem(`process ${pid} has no recorder of gyre`, [
      'It has no loop of gyre, its copy of gyre is older than this command, or GYRE_RECORDER=0 is set.',
    ]);
  }
  const written = new TraceFile(file, megabytes * 1e6);
  try {
    const ended = await follow(reader, first, written, seconds);
    written.finish();
    const { events, size } = written;
    if (json) return print(output, [JSON.stringify({ pid, file, events, bytes: size, ended })]);
    return print(output, [
      `${count(events)} events in ${file} (${bytes(size)})${WHY[ended]}`,
      'Open it in https://ui.perfetto.dev or chrome://tracing.',
    ]);
  } finally {
    written.discard();
  }
}

type Ended = 'time' | 'size' | 'process';

const WHY: Readonly<Record<Ended, string>> = {
  time: '',
  size: ', which may not become larger: see --megabytes',
  process: ', until the process ended',
};

/** Writes recordings until the time is over. Returns the reason for the end. */
async function follow(
  reader: RecordingReader,
  first: readonly TraceEvent[],
  file: TraceFile,
  seconds: number,
): Promise<Ended> {
  const end = getRunningLoop().time() + seconds;
  let events: readonly TraceEvent[] | null = first;
  for (;;) {
    for (const event of events) if (!file.add(event)) return 'size';
    const left = end - getRunningLoop().time();
    if (left <= 0) return 'time';
    await sleep(Math.min(PAUSE, left));
    events = await reader.read().catch(endOfProcess);
    if (events === null) return 'process';
  }
}

function endOfProcess(error: unknown): null {
  if (error instanceof Problem) return null;
  throw error;
}

/** Reads the recorders of a process, each from where it read before. */
class RecordingReader {
  readonly #probe: Probe;
  readonly #places: Record<string, number> = {};
  readonly #makers: Map<number, TraceMaker> = new Map();
  #start: number | null = null;

  constructor(probe: Probe) {
    this.#probe = probe;
  }

  /** @throws Problem if the process has ended */
  async read(): Promise<TraceEvent[]> {
    const answers = await this.#probe.ask<ThreadRecording | readonly ThreadRecording[]>(
      'recording',
      this.#places,
    );
    if (answers.length === 0 && this.#makers.size > 0) throw new Problem('the process has ended');
    return answers
      .flatMap(({ thread, value }) => [value].flat().map((recording) => ({ ...recording, thread })))
      .flatMap((recording) => this.#events(recording as ThreadRecording));
  }

  #events(recording: ThreadRecording): TraceEvent[] {
    const { id, next, origin } = recording;
    this.#start ??= origin;
    let maker = this.#makers.get(id);
    if (maker === undefined) {
      maker = new TraceMaker(recording, this.#start);
      this.#makers.set(id, maker);
    }
    this.#places[id] = next;
    return maker.take(recording);
  }
}
