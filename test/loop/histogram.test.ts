import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from '../../src/loop/histogram.ts';

test('a histogram gives exact count, sum, smallest and largest, and percentiles within an eighth', () => {
  const histogram = new Histogram(1e-7);
  for (let i = 1; i <= 1000; i++) histogram.add(i / 1000);
  const { count, sum, min, max, mean, p50, p90, p99, stddev } = histogram.facts();
  assert.deepEqual([count, Math.round(sum * 1000), min, max], [1000, 500_500, 0.001, 1]);
  assert.ok(Math.abs(mean - 0.5005) < 1e-9);
  for (const [found, exact] of [
    [p50, 0.5],
    [p90, 0.9],
    [p99, 0.99],
  ] as const)
    assert.ok(found >= exact && found <= exact * 1.126, `${found} for ${exact}`);
  assert.ok(Math.abs(stddev - 0.2887) < 0.05);
});

test('each value belongs to the first bucket whose upper bound is above it', () => {
  for (let value = 0; value < 5000; value++) {
    const histogram = new Histogram(1);
    histogram.add(value);
    const [bucket] = histogram.facts().buckets;
    assert.ok(bucket && bucket.upTo > value && bucket.upTo <= Math.max(value * 1.126, value + 1), `${value}`);
  }
});

test('a histogram takes zero, negative values, values above all buckets and several times', () => {
  const histogram = new Histogram(1e-7);
  assert.deepEqual(histogram.facts().buckets, []);
  assert.equal(histogram.facts().max, 0);
  histogram.add(0, 3);
  histogram.add(-1);
  histogram.add(1e9);
  const { count, min, max, buckets } = histogram.facts();
  assert.deepEqual([count, min, max], [5, 0, 1e9]);
  assert.deepEqual(
    buckets.map((bucket) => bucket.count),
    [4, 1],
  );
});
