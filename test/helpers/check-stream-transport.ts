/**
 * What every stream transport keeps, whatever is below it: the checks that trio makes of its streams, for transports and
 * protocols. Whoever writes a transport passes it the makers of two pairs.
 */
import assert from 'node:assert/strict';
import type { BaseEventLoop, StreamProtocol } from '../../src/index.ts';
import { LoopError, sleep } from '../../src/index.ts';
import { Recorder } from './pairs.ts';

export interface TransportPair {
  near: Recorder;
  far: Recorder;
}

/** Connects two transports and tells the recorders. */
export type MakePair = (loop: BaseEventLoop) => Promise<TransportPair>;

/** As {@link MakePair}; the far side does not read, and the near side has written `written` bytes, more than was taken. */
export type MakeCloggedPair = (loop: BaseEventLoop) => Promise<TransportPair & { written: number }>;

/** Each check with its name, to be run as code of the loop. Afterwards the loop owns nothing. */
export function streamTransportChecks(
  makePair: MakePair,
  makeCloggedPair: MakeCloggedPair,
): Record<string, (loop: BaseEventLoop) => Promise<void>> {
  return {
    async 'data arrives in order, in both directions, before the end of the stream'(loop) {
      const { near, far } = await makePair(loop);
      near.transport.write('one ');
      near.transport.writelines(['two ', Buffer.from('three')]);
      far.transport.write('answer');
      await far.untilReceived(13);
      await near.untilReceived(6);
      await end(near, far);
      assert.deepEqual([near.text, far.text], ['answer', 'one two three']);
      assert.deepEqual(near.log, ['made', 'data', 'lost']);
      assert.deepEqual(far.log, ['made', 'data', 'eof', 'lost']);
    },

    async 'empty data is nothing'(loop) {
      const { near, far } = await makePair(loop);
      near.transport.write('');
      near.transport.writelines([]);
      assert.equal(near.transport.getWriteBufferSize(), 0);
      await end(near, far);
      assert.deepEqual(far.log, ['made', 'eof', 'lost']);
    },

    async 'the limits of the write buffer are 16 KiB and 64 KiB unless set'(loop) {
      const { near, far } = await makePair(loop);
      assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
      near.transport.setWriteBufferLimits({ high: 400 });
      assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 100, high: 400 });
      await end(near, far);
    },

    async 'closing twice is closing once, is no call to the protocol, and drops what is written later'(loop) {
      const { near, far } = await makePair(loop);
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

    async 'the end of the writing side comes behind the data and lets the other direction be'(loop) {
      const { near, far } = await makePair(loop);
      far.keepOpen = true;
      assert.equal(near.transport.canWriteEof(), true);
      near.transport.write('question');
      near.transport.writeEof();
      assert.throws(
        () => near.transport.write('more'),
        (error) => error instanceof LoopError && error.code === 'ERR_TRANSPORT_CLOSED',
      );
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

    async 'reading that is paused gets nothing until it is resumed; both may be asked twice'(loop) {
      const { near, far } = await makePair(loop);
      far.transport.pauseReading();
      far.transport.pauseReading();
      assert.equal(far.transport.isReading(), false);
      near.transport.write('waits');
      near.transport.writeEof();
      for (let i = 0; i < 20; i++) await sleep(0);
      assert.deepEqual(far.log, ['made']);
      far.transport.resumeReading();
      far.transport.resumeReading();
      await far.untilLost();
      assert.equal(far.text, 'waits');
      await near.untilLost();
    },

    async 'another protocol is told what follows'(loop) {
      const { near, far } = await makePair(loop);
      near.transport.write('one');
      await far.untilReceived(3);
      const { transport } = far;
      const other = new Recorder();
      transport.setProtocol(other);
      assert.equal(transport.getProtocol(), other as StreamProtocol);
      near.transport.write('two');
      await other.untilReceived(3);
      near.transport.close();
      await other.untilLost();
      await near.untilLost();
      assert.deepEqual([far.text, other.text, far.lost], ['one', 'two', false]);
    },

    async 'aborting ends it at once, without an error on this side'(loop) {
      const { near, far } = await makePair(loop);
      near.transport.abort();
      near.transport.abort();
      assert.equal(near.lost, false);
      await near.untilLost();
      await far.untilLost();
      assert.equal(near.exception, null);
    },

    async 'a clogged stream has paused its writer once, and resumes it once when it has room'(loop) {
      const { near, far, written } = await makeCloggedPair(loop);
      assert.ok(near.transport.getWriteBufferSize() > near.transport.getWriteBufferLimits().high);
      near.transport.write('more');
      far.transport.resumeReading();
      await far.untilReceived(written + 4);
      await near.untilTold('resume');
      assert.deepEqual(near.log, ['made', 'pause', 'resume']);
      await end(near, far);
    },

    async 'closing a clogged stream waits until everything has left'(loop) {
      const { near, far, written } = await makeCloggedPair(loop);
      near.transport.close();
      for (let i = 0; i < 20; i++) await sleep(0);
      assert.equal(near.lost, false);
      far.transport.resumeReading();
      await far.untilLost();
      await near.untilLost();
      assert.equal(far.received, written);
      assert.deepEqual([near.exception, far.exception], [null, null]);
    },

    async 'aborting a clogged stream drops what has not left and waits for nobody'(loop) {
      const { near, far, written } = await makeCloggedPair(loop);
      near.transport.abort();
      assert.equal(near.transport.getWriteBufferSize(), 0);
      await near.untilLost();
      assert.equal(near.exception, null);
      far.transport.resumeReading();
      await far.untilLost();
      assert.ok(far.received < written);
    },

    async 'aborting a clogged stream that is being closed ends it, too'(loop) {
      const { near, far } = await makeCloggedPair(loop);
      near.transport.close();
      await sleep(0);
      near.transport.abort();
      await near.untilLost();
      assert.equal(near.exception, null);
      far.transport.abort();
      await far.untilLost();
    },

    async 'a peer that aborts while a clogged stream writes to it is the error that it is lost by'(loop) {
      const { near, far } = await makeCloggedPair(loop);
      far.transport.abort();
      await near.untilLost();
      assert.ok(near.exception instanceof Error);
      await far.untilLost();
    },
  };
}

async function end(near: Recorder, far: Recorder): Promise<void> {
  near.transport.close();
  await near.untilLost();
  await far.untilLost();
  assert.deepEqual([near.exception, far.exception], [null, null]);
}
