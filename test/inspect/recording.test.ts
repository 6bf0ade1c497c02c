/** The recorder of a thread, and `writeTrace()`. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { Lock, openConnection, sleep, startServer, writeTrace } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';

interface Written {
  name: string;
  ph: string;
  cat?: string;
  ts: number;
  dur?: number;
  id?: number;
  args?: Record<string, unknown>;
}

/** Writes the trace of this thread, and returns its events. */
function written(): Written[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-trace-'));
  try {
    writeTrace(path.join(folder, 'a.json'));
    assert.deepEqual(readdirSync(folder), ['a.json']);
    return JSON.parse(readFileSync(path.join(folder, 'a.json'), 'utf8')).traceEvents;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test(
  'a written trace has turns, steps of tasks, their waits, timers with their lateness, and protocol calls',
  onNode(async (loop) => {
    const lock = new Lock();
    await using server = await startServer(
      async (reader, writer) => {
        writer.write(await reader.read(4));
        await writer.drain();
        writer.close();
      },
      '127.0.0.1',
      0,
    );
    const [, port] = server.sockets.map((socket) => socket.getsockname())[0] as [string, number];
    await lock.acquire();
    const second = loop.createTask(
      async () => {
        await lock.acquire();
        lock.release();
      },
      { name: 'second' },
    );
    await sleep(0.002);
    lock.release();
    await second;
    const [reader, writer] = await openConnection('127.0.0.1', port);
    writer.write(Buffer.from('ping'));
    await reader.read(-1);
    writer.close();
    await sleep(0.001);
    const events = written();
    const has = (wanted: Partial<Written>): Written => {
      const found = events.find((event) =>
        Object.entries(wanted).every(([key, value]) => event[key as keyof Written] === value),
      );
      assert.ok(found, `no event ${JSON.stringify(wanted)}`);
      return found;
    };
    for (const { ts, dur = 0 } of events) assert.ok(Number.isFinite(ts) && dur >= 0);
    assert.ok(Number(has({ name: 'turn', ph: 'X' }).args?.turns) >= 1);
    const task = has({ name: 'second', ph: 'b', cat: 'task' });
    assert.ok(has({ name: 'second', ph: 'e', id: task.id as number }).ts >= task.ts);
    assert.equal(has({ name: 'second', ph: 'X', cat: 'step' }).dur !== undefined, true);
    assert.ok(has({ name: 'Lock', ph: 'b', id: task.id as number }));
    assert.ok(has({ name: 'lateness', ph: 'C' }));
    assert.ok(Number(has({ cat: 'timer', ph: 'X' }).args?.lateSeconds) >= 0);
    assert.ok(events.some(({ name, args }) => name === 'dataReceived' && args?.bytes === 4));
    assert.ok(has({ cat: 'transport', ph: 'b' }));
  }),
);

test(
  'a loop that does not record leaves no event, and records again when it is told to',
  onNode(async (loop) => {
    assert.equal(loop.recording, true);
    loop.recording = false;
    await loop.createTask(() => sleep(0.001), { name: 'unseen' });
    loop.recording = true;
    await loop.createTask(() => sleep(0.001), { name: 'seen' });
    await sleep(0.001);
    const names = written().map(({ name }) => name);
    assert.deepEqual([names.includes('seen'), names.includes('unseen')], [true, false]);
  }),
);

test(
  'the recorder keeps the last events alone',
  onNode(async (loop) => {
    for (let i = 0; i < 20_000; i++) loop.callSoon(function filler() {});
    await sleep(0.001);
    const fillers = written().filter(({ name }) => name === 'filler').length;
    assert.ok(fillers > 10_000 && fillers < 17_000, `${fillers} events`);
  }),
);

test(
  'a callback whose name throws runs, and is recorded without a name',
  onNode(async (loop) => {
    const callback = (): number => ++calls;
    let calls = 0;
    Object.defineProperty(callback, 'name', {
      get() {
        throw new Error('no name');
      },
    });
    loop.callSoon(callback);
    await sleep(0.001);
    assert.equal(calls, 1);
    assert.ok(written().some(({ name }) => name === '(anonymous)'));
  }),
);

test(
  'writeTrace leaves no file if it can not write',
  onNode(async () => {
    await sleep(0);
    const folder = mkdtempSync(path.join(tmpdir(), 'gyre-trace-'));
    const file = path.join(folder, 'missing', 'a.json');
    assert.throws(() => writeTrace(file), { code: 'ENOENT' });
    assert.equal(existsSync(file), false);
    rmSync(folder, { recursive: true });
  }),
);

test('a simulated loop can not be told to record', () => {
  using loop = new SimulatedEventLoop();
  assert.equal(loop.recording, false);
  assert.throws(
    () => {
      loop.recording = true;
    },
    { code: 'ERR_UNSUPPORTED' },
  );
});
