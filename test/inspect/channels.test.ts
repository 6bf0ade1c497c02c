/** The channels of `node:diagnostics_channel`. */
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { test } from 'node:test';
import type { SpanMessage, TurnMessage } from '../../src/index.ts';
import { createSubprocessExec, Protocol, sleep, ThreadPoolExecutor } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';

const EVENTS = ['start', 'end', 'error', 'asyncStart', 'asyncEnd'] as const;

/** Subscribes to a span, and returns its events as they come. */
function watch(span: string): { events: [event: string, message: SpanMessage][]; end: () => void } {
  const events: [string, SpanMessage][] = [];
  const listeners = EVENTS.map((event) => {
    const listener = (message: unknown): void => void events.push([event, message as SpanMessage]);
    diagnostics.subscribe(`tracing:gyre:${span}:${event}`, listener);
    return () => void diagnostics.unsubscribe(`tracing:gyre:${span}:${event}`, listener);
  });
  return { events, end: () => listeners.forEach((stop) => void stop()) };
}

test(
  'gyre:task tells of the beginning and the end of tasks, with the same message, and of no operation',
  onNode(async (loop) => {
    const { events, end } = watch('task');
    const good = loop.createTask(() => sleep(0, 'value'), { name: 'good' });
    await good;
    const failure = new Error('no');
    const bad = loop.createTask(() => Promise.reject(failure), { name: 'bad' });
    await bad.catch(() => {});
    end();
    await loop.createTask(() => sleep(0), { name: 'unseen' });
    assert.deepEqual(
      events.map(([event, { name }]) => `${name} ${event}`),
      [
        ...['good start', 'good end', 'good asyncStart', 'good asyncEnd'],
        ...['bad start', 'bad end', 'bad error', 'bad asyncStart', 'bad asyncEnd'],
      ],
    );
    const [[, first], , , [, last]] = events as [
      (typeof events)[0],
      (typeof events)[0],
      (typeof events)[0],
      (typeof events)[0],
    ];
    assert.equal(first, last);
    assert.deepEqual([first.subject, first.loop, first.result], [good, loop, 'value']);
    assert.equal(events.at(-1)?.[1].error, failure);
  }),
);

test(
  'gyre:turn tells of turns with their entries and their duration',
  onNode(async (loop) => {
    const messages: TurnMessage[] = [];
    const listener = (message: unknown): void => void messages.push(message as TurnMessage);
    diagnostics.subscribe('gyre:turn', listener);
    for (let i = 0; i < 3; i++) await sleep(0.001);
    diagnostics.unsubscribe('gyre:turn', listener);
    assert.ok(messages.length >= 2);
    for (const message of messages) {
      assert.equal(message.loop, loop);
      assert.ok(message.turns >= 1 && message.entries >= 1 && message.seconds >= 0);
    }
  }),
);

test(
  'gyre:transport tells of connections from their beginning to their loss',
  onNode(async (loop) => {
    const { events, end } = watch('transport');
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    const { port } = server.address() as { port: number };
    const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
    await transport[Symbol.asyncDispose]();
    server.close();
    server.closeClients();
    await server.waitClosed();
    end();
    const own = events.filter(([, { subject }]) => subject === transport);
    assert.deepEqual(
      own.map(([event]) => event),
      ['start', 'end', 'asyncStart', 'asyncEnd'],
    );
    assert.match(String(own[0]?.[1].name), new RegExp(`127\\.0\\.0\\.1:${port}$`));
  }),
);

test(
  'gyre:process tells of a child and of its return code',
  onNode(async () => {
    const { events, end } = watch('process');
    const child = await createSubprocessExec(process.execPath, ['-e', 'process.exit(3)']);
    assert.equal(await child.wait(), 3);
    await child[Symbol.asyncDispose]();
    end();
    assert.deepEqual(
      events.map(([event, { result }]) => [event, result]),
      [
        ['start', 3],
        ['end', 3],
        ['asyncStart', 3],
        ['asyncEnd', 3],
      ],
    );
  }),
);

test('gyre:executor tells of the jobs of a pool, also of one that fails', async () => {
  const { events, end } = watch('executor');
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await pool.submit(
    function triple(n: number) {
      return 3 * n;
    },
    [14],
  );
  await assert.rejects(
    pool.submit(function fails() {
      throw new RangeError('too far');
    }, []),
    RangeError,
  );
  end();
  const ends = events.filter(([event]) => event === 'asyncEnd').map(([, message]) => message);
  assert.deepEqual(
    ends.map(({ name, result }) => [name, result]),
    [
      ['triple', 42],
      ['fails', undefined],
    ],
  );
  assert.ok(ends[1]?.error instanceof RangeError);
});
