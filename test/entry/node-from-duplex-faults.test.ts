/** `fromDuplex` over duplexes that throw, fail, or end without an event. */
import assert from 'node:assert/strict';
import type { DuplexOptions } from 'node:stream';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { fromDuplex } from '../../src/entry/node.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { duplexPair } from '../compat/memory.ts';
import type { Reports } from '../helpers/loop-fixture.ts';
import { onNode, Recorder, recorders } from '../helpers/pairs.ts';

const REPORT = 'exception in a duplex of fromDuplex(): its connection is aborted';

const bug = new Error('bug');

function throwBug(): never {
  throw bug;
}

/** A duplex that accepts all writes and has no data. */
function silent(options: DuplexOptions = {}): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), ...options });
}

async function over(duplex: Duplex): Promise<Recorder> {
  const recorder = new Recorder();
  await fromDuplex(duplex, () => recorder);
  return recorder;
}

/**
 * Makes a transport over the duplex, lets `act` cause the fault, and expects the connection to be lost by
 * `bug`.
 */
function lostByBug(
  makeDuplex: () => Duplex,
  act: (recorder: Recorder, duplex: Duplex) => void | Promise<void>,
): () => Promise<void> {
  return onNode(async (loop, reports) => {
    const duplex = makeDuplex();
    const recorder = await over(duplex);
    // A neighbour that writes in the same turn, after it.
    const neighbours = await recorders(loop);
    await act(recorder, duplex);
    neighbours.near.transport.write('hello');
    await neighbours.far.untilReceived(5);
    await recorder.untilLost();
    assert.equal(recorder.exception, bug);
    assert.deepEqual(takeExceptions(reports), [[REPORT, bug]]);
    assert.equal(duplex.destroyed, true);
    await endAll(loop, neighbours.near, neighbours.far);
  });
}

function takeExceptions(reports: Reports): [message: string, exception: unknown][] {
  return reports.take().map(({ message, exception }) => [message, exception]);
}

async function endAll(loop: BaseEventLoop, near: Recorder, far: Recorder): Promise<void> {
  near.transport.close();
  await near.untilLost();
  await far.untilLost();
  assert.equal(loop._owned.resources.size, 0);
}

test(
  'fromDuplex(): a _write() that throws loses its own connection, and other writes of the turn leave',
  lostByBug(
    () => silent({ write: throwBug }),
    ({ transport }) => transport.write('x'),
  ),
);

test(
  'fromDuplex(): the first of several _write() calls that throws loses its own connection',
  lostByBug(
    () => silent({ write: throwBug }),
    ({ transport }) => transport.writelines(['x', 'y']),
  ),
);

test(
  'fromDuplex(): a _writev() that throws loses its own connection',
  lostByBug(
    () => silent({ writev: throwBug }),
    ({ transport }) => transport.writelines(['x', 'y']),
  ),
);

test(
  'fromDuplex(): transport.write() above the high-water mark does not throw the error of _write()',
  lostByBug(
    () => silent({ write: throwBug }),
    ({ transport }) => {
      transport.setWriteBufferLimits({ high: 0 });
      transport.write('x');
    },
  ),
);

test(
  'fromDuplex(): a listener at the other end of a pair that throws within a write loses the connection',
  lostByBug(
    () => {
      const [near, far] = duplexPair();
      far.on('data', throwBug);
      return near;
    },
    async ({ transport }) => {
      await sleep(0);
      transport.write('x');
    },
  ),
);

test(
  "fromDuplex(): a 'data' listener of the duplex that throws within a read loses the connection",
  lostByBug(
    () => silent(),
    (_recorder, duplex) => {
      duplex.on('data', throwBug);
      duplex.push('x');
    },
  ),
);

test(
  "fromDuplex(): a 'prefinish' listener that throws within writeEof() loses the connection",
  lostByBug(
    () => silent().on('prefinish', throwBug),
    ({ transport }) => transport.writeEof(),
  ),
);

test(
  "fromDuplex(): a 'prefinish' listener that throws within close() loses the connection",
  lostByBug(
    () => silent().on('prefinish', throwBug),
    ({ transport }) => transport.close(),
  ),
);

test(
  'fromDuplex(): a destroy() that throws is reported, and the connection is still lost',
  onNode(async (_loop, reports) => {
    for (const method of ['close', 'abort'] as const) {
      const recorder = await over(Object.assign(silent(), { destroy: throwBug }));
      recorder.transport[method]();
      await recorder.untilLost();
      const told = takeExceptions(reports);
      assert.ok(told.length > 0);
      for (const each of told) assert.deepEqual(each, [REPORT, bug]);
    }
  }),
);

test(
  'fromDuplex(): a duplex that throws and never completes _destroy() is still lost',
  lostByBug(
    () => silent({ write: throwBug, destroy() {} }),
    ({ transport }) => transport.write('x'),
  ),
);

test(
  'fromDuplex(): a thrown value that is no error is the cause of the connection’s error',
  onNode(async (_loop, reports) => {
    const recorder = await over(
      silent({
        write() {
          // biome-ignore lint/style/useThrowOnlyError: code of others does
          throw 'a word';
        },
      }),
    );
    recorder.transport.write('x');
    await recorder.untilLost();
    assert.deepEqual(
      [recorder.exception?.message, recorder.exception?.cause],
      ['the duplex threw', 'a word'],
    );
    assert.deepEqual(takeExceptions(reports), [[REPORT, 'a word']]);
  }),
);

for (const options of [
  { emitClose: false },
  { autoDestroy: false },
  { emitClose: false, autoDestroy: false },
]) {
  const name = JSON.stringify(options);

  test(
    `fromDuplex(): close() and abort() end a duplex of ${name}`,
    onNode(async (loop) => {
      for (const method of ['close', 'abort'] as const) {
        const duplex = silent(options);
        const recorder = await over(duplex);
        recorder.transport[method]();
        await recorder.untilLost();
        assert.deepEqual([recorder.exception, duplex.destroyed], [null, true]);
        assert.equal(loop._owned.resources.size, 0);
      }
    }),
  );

  test(
    `fromDuplex(): the end of both directions ends a duplex of ${name}`,
    onNode(async () => {
      const duplex = silent(options);
      const recorder = await over(duplex);
      duplex.push('all of it');
      duplex.push(null);
      await recorder.untilLost();
      assert.deepEqual([recorder.log, recorder.exception], [['made', 'data', 'eof', 'lost'], null]);
    }),
  );

  test(
    `fromDuplex(): a write that fails loses the connection of a duplex of ${name} by its error`,
    onNode(async () => {
      const recorder = await over(silent({ ...options, write: (_chunk, _encoding, done) => done(bug) }));
      recorder.transport.write('x');
      await recorder.untilLost();
      assert.equal(recorder.exception, bug);
    }),
  );

  test(
    `fromDuplex(): a write that fails after close() loses the connection of a duplex of ${name} by its error`,
    onNode(async () => {
      const recorder = await over(silent({ ...options, write: (_chunk, _encoding, done) => done(bug) }));
      recorder.transport.write('x');
      recorder.transport.close();
      await recorder.untilLost();
      assert.equal(recorder.exception, bug);
    }),
  );

  test(
    `fromDuplex(): a read that fails loses the connection of a duplex of ${name} by its error`,
    onNode(async () => {
      const duplex = silent({ ...options, read: throwBug });
      const recorder = await over(duplex);
      await recorder.untilLost();
      assert.equal(recorder.exception, bug);
    }),
  );

  test(
    `fromDuplex(): a duplex of ${name} that other code destroys is a lost connection`,
    onNode(async () => {
      const cut = silent(options);
      const recorder = await over(cut);
      cut.destroy();
      await recorder.untilLost();
      assert.equal((recorder.exception as NodeJS.ErrnoException).code, 'ERR_STREAM_PREMATURE_CLOSE');

      const failed = silent(options);
      const other = await over(failed);
      failed.destroy(bug);
      await other.untilLost();
      assert.equal(other.exception, bug);
    }),
  );
}

test(
  'fromDuplex(): a duplex without a close event is lost once its _destroy() is done',
  onNode(async () => {
    let destroyed = (): void => {};
    const duplex = silent({
      emitClose: false,
      destroy: (error, done) => {
        destroyed = () => done(error);
      },
    });
    const recorder = await over(duplex);
    recorder.transport.abort();
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.equal(recorder.lost, false);
    destroyed();
    await recorder.untilLost();
    assert.equal(recorder.exception, null);
  }),
);

test(
  'fromDuplex(): a _destroy() that throws or fails, without a close event, fails the connection',
  onNode(async () => {
    for (const destroy of [throwBug, (_error: unknown, done: (error: Error) => void) => done(bug)]) {
      const duplex = silent({ emitClose: false, destroy });
      const recorder = await over(duplex);
      duplex.destroy();
      await recorder.untilLost();
      assert.equal(recorder.exception, bug);
    }
  }),
);
