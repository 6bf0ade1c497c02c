import assert from 'node:assert/strict';
import os from 'node:os';
import { performance as imported } from 'node:perf_hooks';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import { inHost } from './hosts.ts';

const START = Date.UTC(2026, 0, 1);
const MONTH = 24 * 24 * 3_600_000;

describe('clocks inside a simulated host', () => {
  test('Date shows the time of the host in every way', async () => {
    await inHost(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(new Date().toISOString(), '2026-01-01T00:00:01.500Z');
      assert.equal(Date.now(), START + 1500);
      assert.equal(Date(), new Date(START + 1000).toString());
      assert.equal(new Date(5).getTime(), 5);
      assert.equal(new Date(2020, 1, 2, 3, 4, 5, 6).getMonth(), 1);
      assert.equal(Date.UTC(1970, 0), 0);
      class Own extends Date {}
      assert.equal(new Own().getTime(), START + 1500);
      assert.ok(new Own() instanceof Own);
      assert.ok(new Date() instanceof Date);
      assert.equal(new Date().constructor, Date);
      assert.equal(Date.name, 'Date');
      assert.equal(Date.length, 7);
    });
  });

  test('Intl and performance show the time of the host', async () => {
    await inHost(async () => {
      await promises.setTimeout(2000);
      const format = new Intl.DateTimeFormat('en', {
        timeZone: 'UTC',
        dateStyle: 'long',
        timeStyle: 'medium',
      });
      assert.match(format.format(), /January 1, 2026.*12:00:02/);
      assert.equal(format.formatToParts().find(({ type }) => type === 'second')?.value, '02');
      assert.match(format.format(0), /1970/);
      assert.equal(imported.now(), 2000);
      assert.equal(performance.timeOrigin, START);
      assert.equal(process.uptime(), 2);
      assert.deepEqual(process.hrtime([1, 1]), [0, 999_999_999]);
    });
  });

  test('node:os shows the name, the addresses and the uptime of the host', async () => {
    await inHost(async () => {
      await promises.setTimeout(5000);
      assert.equal(os.hostname(), 'host');
      assert.equal(os.uptime(), 5);
      const { lo = [], eth0 = [] } = os.networkInterfaces();
      assert.deepEqual(
        [...lo, ...eth0].map(({ address, internal }) => [address, internal]),
        [
          ['127.0.0.1', true],
          ['::1', true],
          ['10.0.0.1', false],
        ],
      );
    });
  });

  test('Temporal shows the time of the host where Node has it', async (t) => {
    const { Temporal } = globalThis as unknown as {
      Temporal?: { Now: { instant(): unknown; plainDateISO(zone?: string): unknown } };
    };
    if (Temporal === undefined) {
      t.diagnostic('this release of Node has no Temporal');
      return;
    }
    await inHost(async () => {
      assert.equal(String(Temporal.Now.instant()), '2026-01-01T00:00:00Z');
      assert.equal(String(Temporal.Now.plainDateISO('UTC')), '2026-01-01');
    });
  });

  test('outside of every host the clocks are real during the simulation, and the same objects after it', async () => {
    const before = [Date, performance.now, process.hrtime, process.hrtime.bigint, process.uptime, Date.now];
    const real = Date.now();
    let outside = 0;
    const watch = setImmediate(() => {
      outside = Date.now();
    });
    await inHost(async () => {
      await promises.setTimeout(MONTH);
    });
    clearImmediate(watch);
    assert.ok(outside >= real && outside < real + MONTH);
    const after = [Date, performance.now, process.hrtime, process.hrtime.bigint, process.uptime, Date.now];
    assert.deepEqual(
      after.map((value, i) => value === before[i]),
      after.map(() => true),
    );
    assert.ok(Math.abs(Date.now() - real) < MONTH);
  });
});
