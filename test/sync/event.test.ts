import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CancelledError, Event } from '../../src/index.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { checkNeedsLoop, checkOneLoop, checkOptionsRefused, checkSignals, spawn } from './helpers.ts';

test(
  'Event.set() lets all waiters continue, in the order of arrival',
  inSimulation(async () => {
    const event = new Event();
    const order: number[] = [];
    const tasks = [1, 2, 3].map((i) =>
      spawn(async () => {
        assert.equal(await event.wait(), true);
        order.push(i);
      }),
    );
    await turns(3);
    assert.deepEqual(order, []);
    assert.equal(event.isSet(), false);
    event.set();
    assert.equal(event.isSet(), true);
    for (const task of tasks) await task;
    assert.deepEqual(order, [1, 2, 3]);
  }),
);

test(
  'Event.wait() for a set event is done at once and costs no turn',
  inSimulation(async (loop) => {
    const event = new Event();
    event.set();
    event.set();
    let turned = false;
    loop.callSoon(() => {
      turned = true;
    });
    const waiting = event.wait();
    assert.equal(waiting.done(), true);
    assert.equal(await waiting, true);
    assert.equal(turned, false);
  }),
);

test(
  'Event.clear() makes later tasks wait, and does not hold back the released waiters',
  inSimulation(async () => {
    const event = new Event();
    const early = spawn(async () => await event.wait());
    await turns();
    event.set();
    event.clear();
    const late = spawn(async () => await event.wait());
    assert.equal(await early, true);
    await turns(3);
    assert.equal(late.done(), false);
    event.set();
    assert.equal(await late, true);
  }),
);

test(
  'an Event’s waiter that is cancelled leaves, and the others continue',
  inSimulation(async () => {
    const event = new Event();
    const [a, b] = [spawn(async () => await event.wait()), spawn(async () => await event.wait())];
    await turns();
    a.cancel();
    await assert.rejects(async () => await a, CancelledError);
    event.set();
    assert.equal(await b, true);
  }),
);

test(
  'an Event’s waiter that is cancelled between set() and its turn is cancelled',
  inSimulation(async () => {
    const event = new Event();
    const task = spawn(async () => await event.wait());
    await turns();
    event.set();
    task.cancel();
    await assert.rejects(async () => await task, CancelledError);
  }),
);

test(
  'Event.wait() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const event = new Event();
    const wait = (options: { signal: AbortSignal }) => {
      if (!options.signal.aborted) event.clear();
      return event.wait(options);
    };
    await checkSignals(
      wait,
      () => event.set(),
      () => event.isSet(),
    );
  }),
);

test(
  'Event.wait() rejects bad options',
  inSimulation(async () => {
    checkOptionsRefused((options) => new Event().wait(options));
  }),
);

test('Event.wait() needs a running loop; set() and clear() need none', () => {
  const event = new Event();
  checkNeedsLoop(() => event.wait());
  event.set();
  assert.equal(event.isSet(), true);
  event.clear();
  assert.equal(event.isSet(), false);
});

test('Event.set() from outside of the loop wakes an idle loop', async () => {
  const event = new Event();
  await inSimulation(async () => {
    setImmediate(() => event.set());
    assert.equal(await event.wait(), true);
  })();
});

test('Event serves the waiters of one loop at a time', async () => {
  const event = new Event();
  await checkOneLoop('Event', () => event.wait());
});

test(
  'Event cancels 100,000 waiters in any order in 100,000 steps, and set() takes as many',
  { timeout: 20_000 },
  inSimulation(async () => {
    const event = new Event();
    const waiting = Array.from({ length: 100_000 }, () => event.wait());
    for (let i = 1; i < waiting.length; i += 2) waiting[i]?.cancel();
    event.set();
    assert.equal(waiting.filter((future) => future.cancelled()).length, 50_000);
    assert.ok(waiting.every((future) => future.done()));
  }),
);
