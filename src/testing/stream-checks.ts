/** The rules that every stream transport must follow, with a check for each. */
import { strict as assert } from 'node:assert';
import { LoopError } from '../base/errors.ts';
import { sleep } from '../tasks/sleep.ts';
import { RecordingProtocol } from './recording-protocol.ts';

/** Both sides of a connection, for one check. */
export interface Pair {
  near: RecordingProtocol;
  far: RecordingProtocol;
}

/** More than the kernel buffers for a connection on any known machine: Linux stops at 36 MiB. */
const CLOG_BYTES = 64 * 1024 * 1024;
const CLOG_PIECE_BYTES = 1024 * 1024;

export const STREAM_CHECKS: Record<string, (pair: Pair) => Promise<void>> = {
  async 'data arrives in order, in both directions, before the end of the stream'({ near, far }) {
    near.transport.write('one ');
    near.transport.writelines(['two ', Buffer.from('three')]);
    far.transport.write('answer');
    await far.untilReceived(13);
    await near.untilReceived(6);
    await end(near, far);
    assert.deepEqual([near.text, far.text], ['answer', 'one two three']);
    assert.deepEqual(near.log, ['data', 'lost']);
    assert.deepEqual(far.log, ['data', 'eof', 'lost']);
  },

  async 'writing empty data sends nothing'({ near, far }) {
    near.transport.write('');
    near.transport.writelines([]);
    assert.equal(near.transport.getWriteBufferSize(), 0);
    await end(near, far);
    assert.deepEqual(far.log, ['eof', 'lost']);
  },

  async 'the limits of the write buffer are 16 KiB and 64 KiB unless set'({ near, far }) {
    assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
    near.transport.setWriteBufferLimits({ high: 400 });
    assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 100, high: 400 });
    await end(near, far);
  },

  async 'a second close does nothing, no close calls the protocol at once, and later writes are dropped'({
    near,
    far,
  }) {
    near.transport.write('before');
    near.transport.close();
    near.transport.close();
    near.transport.write('after');
    assert.deepEqual([near.transport.isClosing(), near.lost], [true, false]);
    await near.untilLost();
    await far.untilLost();
    near.transport.close();
    near.transport.abort();
    assert.equal(near.log.filter((word) => word === 'lost').length, 1);
    assert.equal(far.text, 'before');
  },

  async 'the end of writing comes after the data, and the other direction stays open'({ near, far }) {
    if (!near.transport.canWriteEof()) {
      assert.throws(() => near.transport.writeEof(), isLoopError('ERR_UNSUPPORTED'));
      await end(near, far);
      return;
    }
    far.keepOpen = true;
    near.transport.write('question');
    near.transport.writeEof();
    assert.throws(() => near.transport.write('more'), isLoopError('ERR_TRANSPORT_CLOSED'));
    await far.untilTold('eof');
    assert.equal(far.text, 'question');
    assert.equal(far.transport.isClosing(), false);
    far.transport.write('answer');
    far.transport.writeEof();
    await near.untilLost();
    await far.untilLost();
    assert.equal(near.text, 'answer');
    assert.deepEqual([near.exception, far.exception], [null, null]);
  },

  async 'a paused reader gets no data until it resumes; pausing and resuming twice is allowed'({
    near,
    far,
  }) {
    far.transport.pauseReading();
    far.transport.pauseReading();
    assert.equal(far.transport.isReading(), false);
    near.transport.write('waits');
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.deepEqual(far.log, []);
    far.transport.resumeReading();
    far.transport.resumeReading();
    await far.untilReceived(5);
    await end(near, far);
    assert.equal(far.text, 'waits');
  },

  async 'a new protocol gets all later calls'({ near, far }) {
    near.transport.write('one');
    await far.untilReceived(3);
    const other = new RecordingProtocol(far.loop, far.transport);
    assert.equal(far.transport.getProtocol(), other);
    near.transport.write('two');
    await other.untilReceived(3);
    near.transport.close();
    await other.untilLost();
    await near.untilLost();
    assert.deepEqual([far.text, other.text, far.lost], ['one', 'two', false]);
  },

  async 'an abort ends the connection at once, without an error on this side'({ near, far }) {
    near.transport.abort();
    near.transport.abort();
    assert.equal(near.lost, false);
    await near.untilLost();
    await far.untilLost();
    assert.equal(near.exception, null);
  },

  async 'a clogged stream pauses its writer once, and resumes it once when there is room'({ near, far }) {
    const written = await clogged({ near, far });
    assert.ok(near.transport.getWriteBufferSize() > near.transport.getWriteBufferLimits().high);
    near.transport.write('more');
    far.transport.resumeReading();
    await far.untilReceived(written + 4);
    await near.untilTold('resume');
    assert.deepEqual(near.log, ['pause', 'resume']);
    await end(near, far);
  },

  async 'closing a clogged stream waits until all data was sent'({ near, far }) {
    const written = await clogged({ near, far });
    near.transport.close();
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.equal(near.lost, false);
    far.transport.resumeReading();
    await far.untilLost();
    await near.untilLost();
    assert.equal(far.received, written);
    assert.deepEqual([near.exception, far.exception], [null, null]);
  },

  async 'aborting a clogged stream drops unsent data and does not wait for the peer'({ near, far }) {
    const written = await clogged({ near, far });
    near.transport.abort();
    assert.equal(near.transport.getWriteBufferSize(), 0);
    await near.untilLost();
    assert.equal(near.exception, null);
    far.transport.resumeReading();
    await far.untilLost();
    assert.ok(far.received < written);
  },

  async 'aborting a clogged stream that is being closed ends it, too'({ near, far }) {
    await clogged({ near, far });
    near.transport.close();
    await sleep(0);
    near.transport.abort();
    await near.untilLost();
    assert.equal(near.exception, null);
    far.transport.abort();
    await far.untilLost();
  },

  async 'a peer that aborts while a clogged stream writes to it causes connectionLost with an error'({
    near,
    far,
  }) {
    await clogged({ near, far });
    far.transport.abort();
    await near.untilLost();
    assert.ok(near.exception instanceof Error);
    await far.untilLost();
  },
};

/** Clogs a stream: the far side does not read, and the near side writes more than the kernel accepts. */
async function clogged(pair: Pair): Promise<number> {
  pair.far.transport.pauseReading();
  const piece = Buffer.alloc(CLOG_PIECE_BYTES, 'clog');
  for (let bytes = 0; bytes < CLOG_BYTES; bytes += piece.length) pair.near.transport.write(piece);
  await pair.near.untilTold('pause');
  return CLOG_BYTES;
}

async function end(near: RecordingProtocol, far: RecordingProtocol): Promise<void> {
  near.transport.close();
  await near.untilLost();
  await far.untilLost();
  assert.deepEqual([near.exception, far.exception], [null, null]);
}

function isLoopError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LoopError && error.code === code;
}
