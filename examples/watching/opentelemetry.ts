/**
 * Metrics and spans of a loop for OpenTelemetry. The metrics have the names of its semantic conventions for
 * Node. A span is a task, from its creation to its end. gyre makes a message for it only while somebody
 * listens to the channel.
 *
 *   $ npm install @opentelemetry/api @opentelemetry/sdk-metrics @opentelemetry/sdk-trace-base
 *   $ node --import tsx examples/watching/opentelemetry.ts
 *
 * The exporters of this example print. Those of `@opentelemetry/exporter-…` send to a collector.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Meter, Span, Tracer } from '@opentelemetry/api';
import { metrics, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  ConsoleMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, ConsoleSpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { BaseEventLoop, SpanMessage } from 'gyre';
import { gather, getRunningLoop, run, sleep } from 'gyre';

const DELAYS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'] as const;

/** Observes the metrics of a loop at each export. */
function observeLoop(meter: Meter, loop: BaseEventLoop): void {
  const seconds = { unit: 's' };
  const delays = DELAYS.map((kind) => meter.createObservableGauge(`nodejs.eventloop.delay.${kind}`, seconds));
  const utilization = meter.createObservableGauge('nodejs.eventloop.utilization', { unit: '1' });
  const time = meter.createObservableCounter('nodejs.eventloop.time', seconds);
  const tasks = meter.createObservableUpDownCounter('gyre.loop.tasks', { unit: '{task}' });
  const held = meter.createObservableCounter('gyre.loop.held.time', seconds);
  meter.addBatchObservableCallback(
    (result) => {
      const now = loop.metrics();
      for (const [i, kind] of DELAYS.entries())
        result.observe(delays[i]!, now['nodejs.eventloop.delay'][kind]);
      const { active, idle } = now['nodejs.eventloop.time'] ?? { active: 0, idle: 0 };
      result.observe(utilization, now['nodejs.eventloop.utilization'] ?? 0);
      result.observe(time, active, { 'nodejs.eventloop.state': 'active' });
      result.observe(time, idle, { 'nodejs.eventloop.state': 'idle' });
      result.observe(tasks, now['gyre.loop.tasks']);
      result.observe(held, now['gyre.loop.held'].seconds);
    },
    [...delays, utilization, time, tasks, held],
  );
}

/** Makes a span of each task from now on. */
function traceTasks(tracer: Tracer): void {
  const spans = new WeakMap<object, Span>();
  const listen = (event: string, listener: (message: SpanMessage) => void): void =>
    subscribe(`tracing:gyre:task:${event}`, (message) => listener(message as SpanMessage));
  listen('start', (message) => spans.set(message, tracer.startSpan(message.name)));
  listen('error', (message) => {
    spans.get(message)?.recordException(message.error as Error);
    spans.get(message)?.setStatus({ code: SpanStatusCode.ERROR });
  });
  listen('asyncEnd', (message) => spans.get(message)?.end());
}

const meters = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() })],
});
metrics.setGlobalMeterProvider(meters);
const tracers = new BasicTracerProvider({
  spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())],
});
trace.setGlobalTracerProvider(tracers);

await run(async () => {
  const loop = getRunningLoop();
  observeLoop(metrics.getMeter('gyre'), loop);
  traceTasks(trace.getTracer('gyre'));
  const fetchPrices = loop.createTask(() => sleep(0.02), { name: 'fetch-prices' });
  const fail = async (): Promise<void> => {
    await sleep(0.01);
    throw new Error('no such shop');
  };
  await gather(
    fetchPrices,
    loop.createTask(fail, { name: 'fetch-shop' }).catch(() => {}),
  );
  await meters.forceFlush();
});
await tracers.shutdown();
await meters.shutdown();
