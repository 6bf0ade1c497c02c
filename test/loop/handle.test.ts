import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { Handle, TimerHandle } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { collectGarbage, heapUsed } from '../helpers/gc.ts';
import { withLoop } from '../helpers/loop-fixture.ts';

const makeLoop = (): SimulatedEventLoop => new SimulatedEventLoop();

test('Handle says whether it was cancelled, not whether it ran', () =>
  withLoop(makeLoop, async (loop) => {
    const handle = loop.callSoon(() => {});
    await loop.runUntilComplete(() => sleep(0));
    assert.equal(handle.cancelled(), false);
    handle.cancel();
    assert.equal(handle.cancelled(), true);
  }));

test('Handle holds neither callback nor arguments once it is cancelled', () =>
  withLoop(makeLoop, async (loop) => {
    // Kept, as a program keeps the handle of its timeout.
    const kept: Handle[] = [];
    const scheduled = (): WeakRef<object>[] => {
      const data = { big: true };
      const callback = (_data: object): unknown => data;
      kept.push(loop.callLater(3600, callback, data), loop.callSoon(callback, data));
      for (const handle of kept) handle.cancel();
      return [new WeakRef(data), new WeakRef(callback)];
    };
    const refs = scheduled();
    await collectGarbage();
    assert.deepEqual(
      refs.map((ref) => ref.deref()),
      [undefined, undefined],
    );
    assert.equal(kept.length, 2);
  }));

test('TimerHandle.when() stays what it was after the timer ran and after it was cancelled', () =>
  withLoop(makeLoop, async (loop) => {
    const handles: TimerHandle[] = [loop.callAt(1, () => {}), loop.callAt(2, () => {})];
    handles[1]?.cancel();
    await loop.runUntilComplete(() => sleep(3));
    assert.deepEqual(
      handles.map((handle) => handle.when()),
      [1, 2],
    );
  }));

test('a million callbacks that have run leave the heap flat, also where somebody tracks async resources', () =>
  withLoop(makeLoop, async (loop) => {
    // node:test tracks them by hooks of its own: what is not given back to those would pile up here.
    const round = async (): Promise<void> => {
      for (let i = 0; i < 200_000; i++) loop.callSoon(() => {});
      await loop.runUntilComplete(() => sleep(0));
    };
    await round();
    const before = await heapUsed();
    for (let i = 0; i < 5; i++) await round();
    const grown = (await heapUsed()) - before;
    assert.ok(grown < 2e6, `grew by ${grown} bytes`);
  }));
