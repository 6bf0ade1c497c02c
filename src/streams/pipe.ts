/** `reader.pipeTo(writer)`. */
import { checkBoolean, checkOptions, checkSignal, invalidArgType } from '../base/validate.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { DoneCallback } from '../tasks/done-callback.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { aborted } from '../tasks/settled.ts';
import type { StreamReader } from './reader.ts';
import type { StreamWriter } from './writer.ts';

/** The options of `StreamReader.pipeTo`. */
export interface PipeOptions extends SignalOptions {
  /** Leaves the writing side open at the end of the stream. Default: false. */
  preventClose?: boolean;
}

/** See `StreamReader.pipeTo`. */
export function pipe(reader: StreamReader, writer: StreamWriter, options: PipeOptions): Future<void> {
  if (typeof writer?.drain !== 'function' || typeof writer.canWriteEof !== 'function') {
    throw invalidArgType('writer', writer, 'a StreamWriter');
  }
  checkOptions('options', options, ['preventClose', 'signal']);
  const { preventClose = false, signal } = options;
  checkBoolean('options.preventClose', preventClose);
  checkSignal('options.signal', signal);
  if (signal?.aborted) return aborted(reader._loop, signal);
  return cancelOnAbort(
    operation(reader._loop, 'pipeTo', async () => {
      await copy(reader, writer);
      if (preventClose) return;
      if (writer.canWriteEof()) writer.writeEof();
      else writer.close();
    }),
    signal,
  );
}

/**
 * Copies until the end of the stream. Don't await between a read and its write: a cancel there would lose the
 * chunk.
 */
async function copy(reader: StreamReader, writer: StreamWriter): Promise<void> {
  let reading: Future<Buffer> | null = null;
  const closed = writer.waitClosed();
  closed._ignoreException();
  // A reader without data would not find out that the writer is closed.
  const watch = new DoneCallback(closed, () => void reading?.cancel());
  try {
    for (;;) {
      await writer.drain();
      reading = reader._chunk();
      const chunk = await reading;
      if (chunk.length === 0) break;
      writer.write(chunk);
    }
    await writer.drain();
  } catch (error) {
    if (closed.done() && reading?.cancelled()) await writer.drain();
    throw error;
  } finally {
    watch.remove();
    closed.cancel();
  }
}
