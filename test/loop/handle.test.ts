import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { Handle, TimerHandle } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { collectGarbage, heapUsed } from '../helpers/gc.ts';
import { withLoop } from '../helpers/loop-fixture.ts';

const makeLoop = (): SimulatedEventLoop => new SimulatedEventLoop();

test('Handle.cancelled() tells whether the handle was cancelled, not whether it ran', () =>
  withLoop(makeLoop, async (loop) => {
    const handle = loop.callSoon(() => {});
    await loop.runUntilComplete(() => sleep(0));
    assert.equal(handle.cancelled(), false);
    handle.cancel();
    assert.equal(handle.cancelled(), true);
  }));

test('Handle releases its callback and arguments once it is cancelled', () =>
  withLoop(makeLoop, async (loop) => {
    // The test keeps the handle, as a program keeps the handle of its timeout.
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

test('TimerHandle.when() keeps its value after the timer ran and after it was cancelled', () =>
  withLoop(makeLoop, async (loop) => {
    const handles: TimerHandle[] = [loop.callAt(1, () => {}), loop.callAt(2, () => {})];
    handles[1]?.cancel();
    await loop.runUntilComplete(() => sleep(3));
    assert.deepEqual(
      handles.map((handle) => handle.when()),
      [1, 2],
    );
  }));

test('the heap stays flat over a million callbacks, also while async hooks track resources', () =>
  withLoop(makeLoop, async (loop) => {
    // node:test tracks async resources by hooks. A resource that is never destroyed would pile up there.
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
