import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { QueuedWaiter, WaitQueue } from '../../src/sync/wait-queue.ts';

type Command =
  | { do: 'push' }
  | { do: 'wakeNext' }
  | { do: 'wakeAll' }
  | { do: 'remove' | 'rest'; at: number };

const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant('push' as const) }),
  { arbitrary: fc.record({ do: fc.constant('wakeNext' as const) }), weight: 2 },
  fc.record({ do: fc.constant('wakeAll' as const) }),
  fc.record({ do: fc.constantFrom('remove' as const, 'rest' as const), at: fc.nat(9) }),
);

const owner = { _turnOf(): void {}, _gaveUp(): void {} };

function inOrder(line: WaitQueue<QueuedWaiter<unknown>>): QueuedWaiter<unknown>[] {
  const places: QueuedWaiter<unknown>[] = [];
  for (let place = line.first; place !== null; place = line.after(place)) places.push(place);
  return places;
}

test('WaitQueue keeps waiters in the order of arrival, and wakes the first sleeping one next', () => {
  const loop = new SimulatedEventLoop();
  const property = fc.property(fc.array(commands, { maxLength: 60 }), (steps) => {
    const line = new WaitQueue<QueuedWaiter<unknown>>();
    const model: { place: QueuedWaiter<unknown>; woken: boolean }[] = [];
    for (const step of steps) {
      if (step.do === 'push') {
        const place = new QueuedWaiter<unknown>(loop, owner);
        line.push(place);
        model.push({ place, woken: false });
      } else if (step.do === 'wakeNext') {
        const asleep = model.find(({ woken }) => !woken);
        assert.equal(line.wakeNext(), asleep !== undefined);
        if (asleep !== undefined) asleep.woken = true;
      } else if (step.do === 'wakeAll') {
        line.wakeAll();
        for (const entry of model) entry.woken = true;
      } else if (step.do === 'remove') {
        const [entry] = model.splice(step.at % Math.max(model.length, 1), 1);
        if (entry === undefined) continue;
        line.remove(entry.place);
        assert.equal(entry.place.line, null);
      } else {
        const entry = model[step.at % Math.max(model.length, 1)];
        if (entry === undefined) continue;
        line.rest(entry.place);
        entry.woken = false;
      }
      assert.deepEqual(
        inOrder(line).map((place) => place.woken),
        model.map(({ woken }) => woken),
      );
      assert.ok(inOrder(line).every((place, i) => place === model[i]?.place));
      assert.equal(line.length, model.length);
      assert.equal(line.woken, model.filter(({ woken }) => woken).length);
    }
  });
  fc.assert(property, { numRuns: 1_000, includeErrorInReport: true });
  loop.close();
});

test('WaitQueue accepts a waiter that is already woken, and does not wake it twice', () => {
  const loop = new SimulatedEventLoop();
  const line = new WaitQueue<QueuedWaiter<unknown>>();
  const [woken, asleep] = [new QueuedWaiter<unknown>(loop, owner), new QueuedWaiter<unknown>(loop, owner)];
  woken.wake();
  line.push(woken);
  assert.equal(line.woken, 1);
  assert.equal(line.wakeNext(), false);
  line.push(asleep);
  assert.equal(line.wakeNext(), true);
  assert.equal(asleep.woken, true);
  assert.equal(line.woken, 2);
  assert.equal(line.wakeNext(), false);
  loop.close();
});
