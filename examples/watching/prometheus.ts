/**
 * Metrics of a loop for Prometheus. prom-client asks for them when Prometheus does: between two scrapes this
 * costs nothing.
 *
 *   $ npm install prom-client
 *   $ node --import tsx examples/watching/prometheus.ts
 *   $ curl http://127.0.0.1:9464/metrics
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HistogramFacts } from 'gyre';
import { CancelledError, getRunningLoop, run, sleep } from 'gyre';
import { Counter, Gauge, Registry } from 'prom-client';

/** Registers the metrics of the running loop. */
function loopMetrics(registry: Registry): void {
  const loop = getRunningLoop();
  const registers = [registry];

  const quantiles = (name: string, help: string, read: () => HistogramFacts): void => {
    new Gauge({
      name,
      help,
      registers,
      labelNames: ['quantile'],
      collect() {
        const { p50, p90, p99, max } = read();
        for (const [quantile, value] of Object.entries({ 0.5: p50, 0.9: p90, 0.99: p99, 1: max }))
          this.set({ quantile }, value);
      },
    });
  };
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };

  const metrics = () => loop.metrics();
  quantiles(
    'nodejs_eventloop_delay_seconds',
    'How late timers ran.',
    () => metrics()['nodejs.eventloop.delay'],
  );
  quantiles('gyre_turn_duration_seconds', 'Duration of turns.', () => metrics()['gyre.loop.turn.duration']);
  gauge('gyre_tasks', 'Pending tasks.', () => metrics()['gyre.loop.tasks']);
  gauge('gyre_handles', 'Open connections, servers and children.', () => metrics()['gyre.loop.handles']);
  counter('gyre_turns_total', 'Turns.', () => metrics()['gyre.loop.turns']);
  counter('gyre_held_total', 'How often code held the loop.', () => metrics()['gyre.loop.held'].count);
  counter('gyre_held_seconds_total', 'For how long.', () => metrics()['gyre.loop.held'].seconds);
}

await run(async () => {
  const registry = new Registry();
  loopMetrics(registry);
  const server = createServer(async (_request, response) => {
    response.setHeader('content-type', registry.contentType);
    response.end(await registry.metrics());
  });
  server.listen(Number(process.env.PORT ?? 9464), '127.0.0.1', () => {
    console.log(`metrics on http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`);
  });
  try {
    await sleep(Number.POSITIVE_INFINITY); // the work of the program
  } finally {
    server.close();
  }
}).catch((error) => {
  if (!(error instanceof CancelledError)) throw error;
});
