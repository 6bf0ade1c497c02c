import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withProgram } from './program.ts';

test('examples/watching/prometheus.ts serves the metrics of its loop, and SIGINT ends it', () =>
  withProgram(['watching/prometheus.ts'], async (program) => {
    const [, url = ''] = await program.untilSaid(/on (http:\S+)/);
    const response = await fetch(url);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    assert.match(text, /^nodejs_eventloop_delay_seconds\{quantile="0.99"\} \d/m);
    assert.match(text, /^gyre_turn_duration_seconds\{quantile="1"\} \d/m);
    assert.match(text, /^gyre_tasks 1$/m);
    assert.match(text, /^# TYPE gyre_turns_total counter\ngyre_turns_total [1-9]\d*$/m);
    assert.match(text, /^gyre_held_total \d+$/m);
    program.interrupt();
    assert.equal(await program.ended(), 0, program.output);
  }));

test('examples/watching/opentelemetry.ts exports the metrics of its loop, and a span of each task', () =>
  withProgram(['watching/opentelemetry.ts'], async (program) => {
    assert.equal(await program.ended(), 0, program.output);
    for (const name of ['nodejs.eventloop.delay.p99', 'nodejs.eventloop.utilization', 'gyre.loop.tasks'])
      assert.match(program.output, new RegExp(`name: '${name}'`));
    assert.match(program.output, /'nodejs.eventloop.state': 'idle'/);
    assert.match(program.output, /name: 'fetch-prices'[\s\S]*?status: \{ code: 0 \}/);
    assert.match(program.output, /name: 'fetch-shop'[\s\S]*?'exception.message': 'no such shop'/);
  }));
