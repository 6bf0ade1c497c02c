/** `serveWorkers`: figures, snapshots, HTTP servers, processes, and restarts for changed files. */
import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { isNative, onNode } from '../helpers/pairs.ts';
import { askOnce, Client, lines, serve } from './programs.ts';

const http = new URL('./http.child.ts', import.meta.url);

test(
  'metrics() and ps() tell the connections and loops of each worker',
  onNode(async (loop) => {
    await using workers = await serve(loop, lines, { workers: 1 });
    const client = new Client(workers.port);
    assert.match(await client.ask('who'), /^1 1 /);
    const [metrics] = await workers.metrics();
    assert.equal(metrics?.connections, 1);
    assert.ok((metrics?.heapUsed ?? 0) > 0 && (metrics?.rss ?? 0) > 0 && metrics?.loop !== null);
    const [worker] = await workers.ps();
    assert.equal(worker?.snapshot?.loops.length, 1);
    await client.close();
  }),
);

test(
  'context.serve() serves HTTP in a worker process, and a close ends it',
  onNode(async (loop) => {
    const workers = await serve(loop, http, { workers: 1, kind: 'process' });
    const response = await fetch(`http://127.0.0.1:${workers.port}/`, { headers: { connection: 'close' } });
    assert.equal(await response.text(), 'worker 1');
    await workers.close();
    assert.deepEqual(
      workers.workers.map(({ state, threadId }) => [state, threadId]),
      [['ended', null]],
    );
  }),
);

test(
  'watch restarts the workers when a file changes',
  onNode(async (loop) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'gyre-watch-'));
    const watched = path.join(folder, 'watched.txt');
    copyFileSync(new URL(import.meta.url), watched);
    const restarted = loop.createFuture<void>();
    try {
      await using workers = await serve(loop, lines, {
        workers: 1,
        watch: [folder],
        onEvent: ({ type }) => {
          if (type === 'restarted' && !restarted.done()) restarted.setResult();
        },
      });
      appendFileSync(watched, 'changed');
      await restarted;
      assert.ok((workers.workers[0]?.generation ?? 0) >= 2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }),
);

test(
  'threads of the node backend share a port, or the call says with which Node they can',
  { skip: isNative && 'the native backend has no such limit' },
  onNode(async (loop) => {
    if (!loop._backend.reusePort) {
      await assert.rejects(async () => await serve(loop, lines, { kind: 'thread' }), {
        code: 'ERR_UNSUPPORTED',
      });
      return;
    }
    await using workers = await serve(loop, lines, { workers: 2, kind: 'thread' });
    assert.match(await askOnce(workers.port, 'who'), /^[12] 1 /);
  }),
);
