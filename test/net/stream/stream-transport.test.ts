import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkLoopEmpty } from '../../../src/entry/testing.ts';
import type { BaseEventLoop, BufferedProtocol, StreamProtocol, Transport } from '../../../src/index.ts';
import { sleep } from '../../../src/index.ts';
import { captureContext } from '../../../src/loop/context.ts';
import { StreamTransport } from '../../../src/net/stream/stream-transport.ts';
import type { Reports } from '../../helpers/loop-fixture.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { Recorder } from '../../helpers/pairs.ts';
import { FakeStream, fakeNet } from '../fake-net.ts';

// The transport alone, over a fake raw stream: the test checks its calls of the host.

interface Wire {
  loop: BaseEventLoop;
  reports: Reports;
  raw: FakeStream;
  recorder: Recorder;
  transport: Transport;
  /** Runs `body` as a task, until the end of its last turn. */
  turn: (body?: () => unknown) => Promise<void>;
  /** The host reports that the stream is closed, and the loop processes that. */
  end: (error?: Error | null) => Promise<void>;
}

/**
 * Makes a transport over a fake stream, on a loop that runs only in `turn()`, and checks that nothing is
 * left.
 */
function wired(body: (wire: Wire) => Promise<void>): () => Promise<void> {
  return () =>
    withLoop(
      () => fakeNet().loop,
      async (loop, reports) => {
        const raw = new FakeStream();
        const recorder = new Recorder();
        const turn: Wire['turn'] = async (code = () => {}) => {
          await loop.runUntilComplete(async () => {
            await code();
          });
        };
        const transport = new StreamTransport(loop, raw, recorder, captureContext(loop), null);
        const end: Wire['end'] = (error = null) => turn(() => raw.events?.onClose(error));
        await turn(() => {
          transport._begin();
        });
        await body({ loop, reports, raw, recorder, transport, turn, end });
      },
    );
}

const bytes = (text: string): Buffer => Buffer.from(text);
const sent = (raw: FakeStream): string[] => raw.sent.map(String);

// --- one system call a turn ---

test(
  'StreamTransport passes the writes of one turn to the host in one call, in order',
  wired(async ({ raw, transport, turn, end }) => {
    await turn(async () => {
      transport.write('one ');
      transport.write(bytes('two '));
      transport.writelines(['three ', bytes('four ')]);
      await null;
      transport.write('in a microtask');
      assert.deepEqual(sent(raw), []);
    });
    assert.deepEqual(sent(raw), ['one two three four in a microtask']);
    await turn(() => transport.write('next turn'));
    assert.deepEqual(raw.calls, ['readStart', 'write 33', 'write 9']);
    transport.abort();
    await end();
  }),
);

test(
  'StreamTransport sends the writes of all tasks that one turn resumed together',
  wired(async ({ loop, raw, transport, turn, end }) => {
    await turn(async () => {
      const tasks = Array.from({ length: 10 }, (_, i) =>
        loop.createTask(async () => {
          await sleep(0);
          transport.write(`${i}`);
        }),
      );
      for (const task of tasks) await task;
    });
    assert.deepEqual(sent(raw), ['0123456789']);
    transport.abort();
    await end();
  }),
);

test(
  'StreamTransport sends writes of a host event together with those of the turn that follows',
  wired(async ({ loop, raw, recorder, transport, turn, end }) => {
    recorder.dataReceived = (data) => transport.write(data);
    await turn(async () => {
      await sleep(0);
      const events = raw.events as NonNullable<typeof raw.events>;
      await new Promise<void>((resolve) => {
        setImmediate(() => {
          events.onRead(bytes('a'));
          events.onRead(bytes('b'));
          loop.callSoon(() => transport.write('c'));
          assert.deepEqual(sent(raw), []);
          resolve();
        });
      });
      await sleep(0);
      await sleep(0);
      assert.deepEqual(sent(raw), ['abc']);
    });
    transport.abort();
    await end();
  }),
);

test(
  'StreamTransport calls the host at once above the high-water mark, before it pauses the protocol',
  wired(async ({ raw, recorder, transport, turn, end }) => {
    transport.setWriteBufferLimits({ high: 10 });
    await turn(() => {
      transport.write('12345');
      assert.deepEqual(sent(raw), []);
      transport.write('678901');
      assert.deepEqual(sent(raw), ['12345678901']);
      assert.equal(transport.getWriteBufferSize(), 0);
    });
    assert.deepEqual(recorder.log, ['made']);
    transport.abort();
    await end();
  }),
);

test(
  'StreamTransport queues writes while the host is busy, and then sends them in one call',
  wired(async ({ raw, transport, turn, end }) => {
    raw.takesAll = false;
    await turn(() => transport.write('first'));
    await turn(() => transport.write('se'));
    await turn(() => transport.write('cond'));
    assert.deepEqual(sent(raw), ['first']);
    assert.equal(transport.getWriteBufferSize(), 11);
    raw.takesAll = true;
    await turn(() => raw.events?.onWritten());
    assert.deepEqual(sent(raw), ['first', 'second']);
    assert.equal(transport.getWriteBufferSize(), 0);
    transport.abort();
    await end();
  }),
);

test(
  'StreamTransport ignores empty data',
  wired(async ({ raw, transport, turn, end }) => {
    await turn(() => {
      transport.write('');
      transport.write(new Uint8Array(0));
      transport.writelines([]);
      transport.writelines(['', new Uint8Array(0)]);
    });
    assert.deepEqual(raw.calls, ['readStart']);
    transport.abort();
    await end();
  }),
);

// --- ending ---

test(
  'StreamTransport.close() waits until everything has left, and closes the host’s stream once',
  wired(async ({ raw, recorder, transport, turn, end }) => {
    raw.takesAll = false;
    await turn(() => {
      transport.write('last words');
      transport.close();
      transport.close();
      assert.equal(transport.isClosing(), true);
      assert.deepEqual(raw.calls, ['readStart', 'readStop']);
    });
    assert.deepEqual(raw.calls, ['readStart', 'readStop', 'write 10']);
    await turn(() => raw.events?.onWritten());
    assert.deepEqual(raw.calls.slice(3), ['close']);
    assert.deepEqual(recorder.log, ['made']);
    await end();
    assert.deepEqual(recorder.log, ['made', 'lost']);
    assert.equal(recorder.exception, null);
  }),
);

test(
  'StreamTransport.writeEof() sends one FIN after the written data',
  wired(async ({ raw, transport, turn, end }) => {
    raw.takesAll = false;
    await turn(() => {
      transport.write('last words');
      transport.writeEof();
      transport.writeEof();
    });
    assert.deepEqual(raw.calls, ['readStart', 'write 10']);
    await turn(() => raw.events?.onWritten());
    await turn(() => transport.writeEof());
    assert.deepEqual(raw.calls.slice(2), ['shutdown']);
    transport.abort();
    await end();
  }),
);

test(
  'StreamTransport.abort() drops buffered data at once',
  wired(async ({ raw, recorder, transport, turn, end }) => {
    raw.takesAll = false;
    await turn(() => {
      transport.write('in flight');
    });
    await turn(() => {
      transport.write('queued');
      transport.abort();
      transport.abort();
      transport.close();
      assert.equal(transport.getWriteBufferSize(), 0);
      assert.equal(transport.isClosing(), true);
    });
    assert.deepEqual(raw.calls, ['readStart', 'write 9', 'abort']);
    await end(new Error('what the host makes of it'));
    assert.deepEqual(recorder.log, ['made', 'lost']);
    assert.equal(recorder.exception, null);
  }),
);

test(
  'StreamTransport calls connectionLost() once, and nothing after it, for any later event of the host',
  wired(async ({ raw, recorder, transport, turn, end }) => {
    raw.takesAll = false;
    transport.setWriteBufferLimits({ high: 0 });
    await turn(() => transport.write('x'));
    assert.deepEqual(recorder.log, ['made', 'pause']);
    const error = new Error('reset');
    await end(error);
    await turn(() => {
      raw.events?.onWritten();
      raw.events?.onRead(bytes('late'));
      raw.events?.onEnd();
      raw.events?.onClose(null);
      transport.setWriteBufferLimits({ high: 100 });
      transport.resumeReading();
      transport.close();
      transport.abort();
    });
    assert.deepEqual(recorder.log, ['made', 'pause', 'lost']);
    assert.equal(recorder.exception, error);
    assert.deepEqual(raw.calls, ['readStart', 'write 1']);
  }),
);

test(
  'StreamTransport resumes no protocol if the host completes a write after abort()',
  wired(async ({ raw, recorder, transport, turn, end }) => {
    raw.takesAll = false;
    transport.setWriteBufferLimits({ high: 0 });
    await turn(() => transport.write('x'));
    await turn(() => transport.abort());
    await turn(() => raw.events?.onWritten());
    assert.deepEqual(recorder.log, ['made', 'pause']);
    assert.deepEqual(raw.calls, ['readStart', 'write 1', 'abort']);
    await end();
  }),
);

// --- a loop that does not run ---

test(
  'StreamTransport calls no protocol of a stopped loop, and loses nothing',
  wired(async ({ raw, recorder, turn, transport }) => {
    raw.takesAll = false;
    transport.setWriteBufferLimits({ high: 0 });
    await turn(() => transport.write('written'));
    const events = raw.events as NonNullable<typeof raw.events>;
    events.onRead(bytes('data'));
    events.onWritten();
    assert.equal(raw.calls.at(-1), 'readStop');
    assert.deepEqual(recorder.log, ['made', 'pause']);
    await turn();
    assert.deepEqual(recorder.log, ['made', 'pause', 'data', 'resume']);
    assert.equal(raw.calls.at(-1), 'readStart');

    events.onEnd();
    events.onClose(new Error('reset'));
    assert.equal(transport.isClosing(), false);
    assert.deepEqual(recorder.log, ['made', 'pause', 'data', 'resume']);
    await turn();
    assert.deepEqual(recorder.log.slice(4), ['eof', 'lost']);
    assert.equal(recorder.exception?.message, 'reset');
  }),
);

test(
  'StreamTransport holds data and an end of a stopped loop until resumeReading() if reading was paused meanwhile',
  wired(async ({ raw, recorder, turn, transport, end }) => {
    recorder.keepOpen = true;
    const events = raw.events as NonNullable<typeof raw.events>;
    events.onRead(bytes('data'));
    transport.pauseReading();
    await turn();
    assert.deepEqual(recorder.log, ['made']);
    events.onEnd();
    transport.resumeReading();
    transport.pauseReading();
    await turn();
    assert.deepEqual(recorder.log, ['made']);
    await turn(() => {
      transport.resumeReading();
      assert.deepEqual(recorder.log, ['made']);
    });
    await turn();
    assert.deepEqual(recorder.log, ['made', 'data', 'eof']);
    assert.equal(recorder.text, 'data');
    await turn(() => transport.close());
    await end();
  }),
);

test(
  'StreamTransport sends writes of a stopped loop at once, and pauses the protocol in the next run',
  wired(async ({ raw, recorder, turn, transport, end }) => {
    raw.takesAll = false;
    transport.setWriteBufferLimits({ high: 3 });
    transport.write('four');
    assert.deepEqual(sent(raw), ['four']);
    assert.deepEqual(recorder.log, ['made']);
    await turn();
    assert.deepEqual(recorder.log, ['made', 'pause']);
    transport.close();
    raw.events?.onWritten();
    await turn();
    assert.deepEqual(recorder.log, ['made', 'pause', 'resume']);
    assert.equal(raw.calls.at(-1), 'close');
    await end();
  }),
);

test(
  'StreamTransport calls no protocol of a closed loop, for any event of the host',
  wired(async ({ loop, reports, raw, recorder, transport, turn }) => {
    raw.takesAll = false;
    transport.setWriteBufferLimits({ high: 0 });
    await turn(() => transport.write('x'));
    const events = raw.events as NonNullable<typeof raw.events>;
    events.onRead(bytes('waits'));
    const told = [...recorder.log];
    loop.close();
    assert.equal(raw.calls.at(-1), 'abort');
    events.onWritten();
    events.onRead(bytes('late'));
    events.onEnd();
    events.onClose(null);
    assert.deepEqual(recorder.log, told);
    assert.deepEqual(reports.takeMessages(), [
      'the event loop was closed, but a connection with 192.0.2.2:2 was still open',
    ]);
    assert.equal(transport.isClosing(), true);
    transport.write('dropped');
    transport.close();
  }),
);

test(
  'loop.close() wakes code outside of the loop that waits for the end of a transport',
  wired(async ({ loop, reports, transport }) => {
    const disposed = transport[Symbol.asyncDispose]();
    loop.close();
    await disposed;
    assert.equal(reports.take().length, 1);
  }),
);

// --- reading ---

test(
  'StreamTransport passes pauseReading() and resumeReading() to the host once each',
  wired(async ({ raw, transport, turn, end }) => {
    await turn(() => {
      assert.equal(transport.isReading(), true);
      transport.resumeReading();
      transport.pauseReading();
      transport.pauseReading();
      assert.equal(transport.isReading(), false);
      transport.resumeReading();
      transport.resumeReading();
      assert.equal(transport.isReading(), true);
    });
    assert.deepEqual(raw.calls, ['readStart', 'readStop', 'readStart']);
    transport.abort();
    await end();
  }),
);

test('StreamTransport that is paused in connectionMade() does not start reading', () => {
  const { loop, close } = fakeNet();
  const raw = new FakeStream();
  const protocol: StreamProtocol = { connectionMade: (transport) => transport.pauseReading() };
  const transport = new StreamTransport(loop, raw, protocol, captureContext(loop), null);
  return loop
    .runUntilComplete(async () => {
      transport._begin();
      assert.deepEqual(raw.calls, ['readStop']);
      transport.abort();
      raw.events?.onClose(null);
    })
    .then(close);
});

/** Reads into buffers of `size` bytes, and calls `after` for each that is filled. */
class Filler implements BufferedProtocol {
  readonly pieces: string[] = [];
  readonly hints: number[] = [];
  after: (piece: string) => void = () => {};
  readonly #size: number;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(size: number) {
    this.#size = size;
  }

  getBuffer(sizeHint: number): Uint8Array {
    this.hints.push(sizeHint);
    this.#buffer = Buffer.alloc(this.#size);
    return this.#buffer;
  }

  bufferUpdated(nbytes: number): void {
    const piece = this.#buffer.toString('utf8', 0, nbytes);
    this.pieces.push(piece);
    this.after(piece);
  }
}

test(
  'a BufferedProtocol gets data in the buffers that it provides',
  wired(async ({ raw, transport, turn, end }) => {
    const filler = new Filler(4);
    transport.setProtocol(filler);
    await turn(() => {
      raw.events?.onRead(bytes('0123456789'));
      raw.events?.onRead(bytes('abc'));
    });
    assert.deepEqual(filler.pieces, ['0123', '4567', '89', 'abc']);
    assert.deepEqual(filler.hints, [10, 6, 2, 3]);
    transport.abort();
    await end();
  }),
);

test(
  'a BufferedProtocol that pauses in the middle of a read gets the rest after it resumes',
  wired(async ({ raw, transport, turn, end }) => {
    const filler = new Filler(4);
    transport.setProtocol(filler);
    filler.after = (piece) => {
      if (piece === '0123') transport.pauseReading();
    };
    await turn(() => raw.events?.onRead(bytes('0123456789')));
    await turn();
    assert.deepEqual(filler.pieces, ['0123']);
    await turn(() => transport.resumeReading());
    await turn();
    assert.deepEqual(filler.pieces, ['0123', '4567', '89']);
    assert.equal(raw.calls.at(-1), 'readStart');
    transport.abort();
    await end();
  }),
);

test(
  'a BufferedProtocol that closes in the middle of a read gets no more of it',
  wired(async ({ raw, transport, turn, end }) => {
    const filler = new Filler(4);
    transport.setProtocol(filler);
    filler.after = () => transport.close();
    await turn(() => raw.events?.onRead(bytes('0123456789')));
    assert.deepEqual(filler.pieces, ['0123']);
    await end();
  }),
);

test(
  'a BufferedProtocol that sets another protocol leaves that the rest of the read',
  wired(async ({ raw, recorder, transport, turn, end }) => {
    const filler = new Filler(4);
    transport.setProtocol(filler);
    filler.after = () => transport.setProtocol(recorder);
    await turn(() => raw.events?.onRead(bytes('HEADbody')));
    assert.deepEqual(filler.pieces, ['HEAD']);
    assert.equal(recorder.text, 'body');
    transport.abort();
    await end();
  }),
);

test(
  'a getBuffer() that returns no buffer is reported, and its connection is aborted',
  wired(async ({ loop, reports, raw, transport, turn, end }) => {
    const filler = new Filler(0);
    transport.setProtocol(filler);
    await turn(() => raw.events?.onRead(bytes('data')));
    const [report] = reports.take();
    assert.equal(report?.message, 'exception in protocol.getBuffer(): its connection is aborted');
    assert.match(String(report?.exception), /"getBuffer\(\)\.length".*at least 1.*got 0/);
    assert.equal(raw.calls.at(-1), 'abort');
    await end();
    checkLoopEmpty(loop);

    const other = new FakeStream();
    const wrong = { getBuffer: () => 'text' as never, bufferUpdated: () => {} };
    const second = new StreamTransport(loop, other, wrong, captureContext(loop), null);
    await turn(() => {
      second._begin();
      other.events?.onRead(bytes('data'));
      other.events?.onClose(null);
    });
    assert.match(String(reports.take()[0]?.exception), /"getBuffer\(\)".*a Uint8Array.*got "text"/);
  }),
);

test(
  'a bufferUpdated() that throws is reported by its own name',
  wired(async ({ reports, raw, recorder, transport, turn, end }) => {
    const filler = new Filler(4);
    const bug = new Error('bug');
    filler.after = () => {
      throw bug;
    };
    transport.setProtocol(filler);
    await turn(() => raw.events?.onRead(bytes('01234567')));
    assert.deepEqual(filler.pieces, ['0123']);
    const [report] = reports.take();
    assert.equal(report?.message, 'exception in protocol.bufferUpdated(): its connection is aborted');
    assert.equal(report?.exception, bug);
    transport.setProtocol(recorder);
    await end();
    assert.equal(recorder.exception, bug);
  }),
);

// --- flow ---

test('pause and resume alternate, and all data arrives in order, for any progress of the host', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 40 }).map((write) => ({ write })) },
    { weight: 3, arbitrary: fc.constant('written' as const) },
    { weight: 3, arbitrary: fc.constant('turn' as const) },
    { weight: 1, arbitrary: fc.boolean().map((takesAll) => ({ takesAll })) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 60 }),
      fc.array(step, { maxLength: 40 }),
      fc.boolean(),
      async (high, steps, running) => {
        await wired(async ({ raw, recorder, transport, turn, end }) => {
          transport.setWriteBufferLimits({ high });
          let written = '';
          let busy = false;
          const write = raw.write.bind(raw);
          raw.write = (chunks) => {
            assert.equal(busy, false, 'asked to write while it was busy');
            busy = !raw.takesAll;
            return write(chunks);
          };
          const play = async (one: (typeof steps)[number]): Promise<void> => {
            if (one === 'turn') {
              if (running) await sleep(0);
              else await turn();
            } else if (one === 'written') {
              if (busy) {
                busy = false;
                raw.events?.onWritten();
              }
            } else if ('write' in one) {
              const text = String.fromCharCode(97 + (written.length % 26)).repeat(one.write);
              written += text;
              transport.write(text);
            } else {
              raw.takesAll = one.takesAll;
            }
          };
          const playAll = async (): Promise<void> => {
            for (const one of steps) await play(one);
          };
          if (running) await turn(playAll);
          else await playAll();
          raw.takesAll = true;
          await turn(() => {
            const wasBusy = busy;
            busy = false;
            if (wasBusy) raw.events?.onWritten();
          });
          await turn();
          assert.equal(Buffer.concat(raw.sent).toString(), written);
          assert.equal(transport.getWriteBufferSize(), 0);
          const flow = recorder.log.filter((word) => word === 'pause' || word === 'resume');
          for (const [i, word] of flow.entries()) assert.equal(word, i % 2 === 0 ? 'pause' : 'resume');
          assert.equal(flow.length % 2, 0, 'paused for ever');
          transport.abort();
          await end();
        })();
      },
    ),
    { numRuns: 150 },
  );
});
