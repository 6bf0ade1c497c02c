/** The page of `gyre ps --web`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { servePage } from '../../src/cli/web/serve-page.ts';
import { run } from '../../src/index.ts';

const figures = {
  pid: 4711,
  stack: ['reindex (shop.ts:12:5)'],
  trees: [[[]]],
  threads: [
    {
      thread: 0,
      title: '/srv/shop.ts',
      node: 'v26.0.0',
      uptimeSeconds: 3700,
      pools: [],
      loops: [
        {
          id: 1,
          kind: 'UvEventLoop',
          backend: 'uv',
          running: true,
          time: 5,
          turns: 100,
          ready: 0,
          taskCount: 2,
          handleCount: 0,
          metrics: { 'gyre.loop.turn.duration': { p99: 0.001 }, 'nodejs.eventloop.delay': { p99: 0.002 } },
          timerCount: 0,
          handles: [],
          timers: [],
          loose: [],
          tasks: [
            {
              id: 1,
              name: '<img src=x onerror=document.title="run">',
              at: 'Lock.acquire()',
              waits: [],
              createdAt: [],
              ageSeconds: 1,
            },
            { id: 2, name: 'right', at: 'Lock.acquire()', waits: [], createdAt: [], ageSeconds: 1 },
          ],
          cycles: [[1, 2]],
        },
      ],
    },
  ],
};

test('the page needs its secret, and a Host header of loopback', async () => {
  await run(async () => {
    await using server = await servePage(0, async () => figures);
    const { origin } = new URL(server.url);
    assert.equal((await fetch(server.url)).status, 200);
    assert.equal((await fetch(server.url.replace('/?', '/figures?'))).status, 200);
    assert.equal((await fetch(origin)).status, 403);
    assert.equal((await fetch(`${origin}/figures?secret=é`)).status, 403);
    assert.equal((await fetch(server.url.replace('/?', '/other?'))).status, 404);
    const foreign = await hostHeader(server.url, 'evil.example');
    assert.equal(foreign, 403);
  });
});

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);

test('the page shows tasks as text and names a deadlock', {
  skip: chromium === undefined && 'there is no Chromium',
}, async () => {
  await run(async () => {
    await using server = await servePage(0, async () => figures);
    const html = await domAfterScripts(chromium ?? '', server.url);
    assert.match(html, /Deadlock: these tasks wait for each other/);
    assert.match(html, /reindex \(shop\.ts:12:5\)/);
    assert.match(html, /&lt;img src=x/);
    assert.match(html, /<title>gyre 4711<\/title>/);
  });
});

async function domAfterScripts(browser: string, url: string): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-page-'));
  try {
    const args = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${folder}`];
    const { stdout } = await promisify(execFile)(browser, [
      ...args,
      '--virtual-time-budget=1500',
      '--dump-dom',
      url,
    ]);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** fetch() does not let a program choose the header. */
async function hostHeader(url: string, host: string): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    get(url, { headers: { host } }, (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
}
