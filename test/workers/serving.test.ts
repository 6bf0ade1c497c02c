/** `serveWorkers`: start, balance, and the end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { onNode } from '../helpers/pairs.ts';
import { askOnce, Client, lines, serve } from './programs.ts';

test(
  'workers serve one port, and each of them gets connections',
  onNode(async (loop) => {
    const events: string[] = [];
    const workers = await serve(loop, lines, {
      onEvent: ({ type, worker }) => events.push(`${type} ${worker}`),
    });
    assert.equal(workers.ready, true);
    assert.deepEqual(
      workers.workers.map(({ worker, generation, state }) => [worker, generation, state]),
      [
        [1, 1, 'ready'],
        [2, 1, 'ready'],
      ],
    );
    const served = new Set<string>();
    while (served.size < 2) served.add(await askOnce(workers.port, 'who'));
    assert.deepEqual([...served].map((line) => line.slice(0, 3)).sort(), ['1 1', '2 1']);
    await workers.close();
    assert.equal(workers.ready, false);
    assert.deepEqual(
      workers.workers.map(({ state }) => state),
      ['ended', 'ended'],
    );
    assert.deepEqual(
      events.filter((event) => event.endsWith('1')),
      ['starting 1', 'ready 1', 'draining 1', 'ended 1'],
    );
  }),
);

test(
  'a close waits for open connections, cancels at the deadline, and tells each step',
  onNode(async (loop) => {
    const events: string[] = [];
    const workers = await serve(loop, lines, {
      workers: 1,
      onEvent: ({ type, detail }) => events.push(`${type} ${detail}`.trim()),
    });
    const client = new Client(workers.port);
    assert.match(await client.ask('who'), /^1 1 /);
    const first = workers.close({ deadline: null });
    assert.match(await client.ask('who'), /^1 1 /);
    // The worker stops accepting when it has read the message of its supervisor.
    while ((await askOnce(workers.port, 'refused')) !== '');
    await workers.close({ deadline: 0 });
    await first;
    assert.deepEqual(events.slice(2), ['closing', 'draining', 'cancelling 1 connections are open', 'ended']);
    await client.close();
  }),
);

test(
  'a worker that never ends is killed after the deadline and the grace period',
  onNode(async (loop) => {
    const events: string[] = [];
    const workers = await serve(loop, lines, {
      workers: 1,
      grace: 0.05,
      onEvent: ({ type }) => events.push(type),
    });
    const client = new Client(workers.port);
    assert.match(await client.ask('who'), /^1 1 /);
    client.socket.write('block\n');
    await workers.close({ deadline: 0 });
    assert.deepEqual(events.slice(-3), ['draining', 'killing', 'ended']);
    await client.close();
  }),
);

test(
  'serveWorkers rejects with EADDRINUSE for a port in use',
  onNode(async (loop) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await assert.rejects(async () => await serve(loop, lines, { port }), { code: 'EADDRINUSE' });
    other.close();
  }),
);

test(
  'a second supervisor cannot join the port of the first one',
  onNode(async (loop) => {
    await using first = await serve(loop, lines, { workers: 1 });
    await assert.rejects(async () => await serve(loop, lines, { port: first.port }), { code: 'EADDRINUSE' });
  }),
);
