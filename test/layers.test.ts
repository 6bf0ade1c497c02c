import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// biome.json enforces the import table of docs/architecture.md. A misspelt pattern would silently forbid
// nothing, so every row is tried here on a tree of small files, in one run of Biome.

const root = fileURLToPath(new URL('..', import.meta.url));

/** For each file: the accepted imports, and the rejected ones. */
const table: Record<string, { may: string[]; mustNot: string[] }> = {
  'src/base/file.ts': {
    may: ['./errors.ts'],
    mustNot: ['../loop/handle.ts', '../index.ts', '../backend/backend.ts', 'node:util', 'some-package'],
  },
  'src/platform/file.ts': {
    may: ['./node-modules.ts', '../base/errors.ts', 'node:url'],
    mustNot: ['../loop/handle.ts', '../backend/backend.ts', '../index.ts', 'node:net', 'some-package'],
  },
  'src/loop/file.ts': {
    may: ['./handle.ts', '../base/errors.ts', '../backend/backend.ts'],
    mustNot: [
      '../platform/node-modules.ts',
      '../tasks/task.ts',
      '../sync/lock.ts',
      '../net/server.ts',
      '../backend/node/index.ts',
      '../backend/sim/index.ts',
      '../policy.ts',
      '../event-loop.ts',
      '../index.ts',
      'node:async_hooks',
      'node:timers',
    ],
  },
  'src/loop/context.ts': {
    may: ['node:async_hooks', '../base/errors.ts'],
    mustNot: ['node:timers', '../tasks/task.ts', '../index.ts'],
  },
  'src/loop/report.ts': {
    may: ['../platform/node-modules.ts', '../base/one-line.ts', './types.ts'],
    mustNot: ['node:timers', 'node:async_hooks', '../tasks/task.ts'],
  },
  'src/tasks/file.ts': {
    may: ['./future.ts', '../base/ring-queue.ts', '../loop/context.ts', '../loop/types.ts'],
    mustNot: ['../sync/queue.ts', '../net/server.ts', '../backend/backend.ts', '../policy.ts', 'node:events'],
  },
  'src/sync/file.ts': {
    may: ['./waiters.ts', '../base/ring-queue.ts', '../loop/context.ts', '../tasks/future.ts'],
    mustNot: ['../net/server.ts', '../streams/reader.ts', '../event-loop.ts', '../index.ts', 'node:events'],
  },
  'src/backend/backend.ts': {
    may: ['../base/address.ts', './streams.ts'],
    mustNot: ['./node/index.ts', '../loop/types.ts', '../tasks/future.ts', 'node:net'],
  },
  'src/backend/node/file.ts': {
    may: [
      './stream.ts',
      '../backend.ts',
      '../shared/clock.ts',
      '../../base/errors.ts',
      '../../platform/node-modules.ts',
      'node:net',
    ],
    mustNot: [
      '../sim/index.ts',
      '../../loop/types.ts',
      '../../tasks/future.ts',
      '../../net/transport.ts',
      '../../index.ts',
      'some-package',
    ],
  },
  'src/backend/shared/file.ts': {
    may: ['./clock.ts', '../backend.ts', '../../base/errors.ts', 'node:net'],
    mustNot: [
      '../node/index.ts',
      '../uv/index.ts',
      '../sim/index.ts',
      '../../loop/types.ts',
      '../../tasks/future.ts',
      '../../net/transport.ts',
      'some-package',
    ],
  },
  'src/backend/uv/index.ts': {
    may: [
      './stream.ts',
      './tls/engine.ts',
      '../backend.ts',
      '../node/index.ts',
      '../shared/clock.ts',
      '../../base/errors.ts',
    ],
    mustNot: ['../sim/index.ts', '../../loop/types.ts', '../../net/transport.ts', 'some-package'],
  },
  'src/backend/uv/file.ts': {
    may: ['./stream.ts', '../backend.ts', '../shared/clock.ts', '../../base/errors.ts', 'node:os'],
    mustNot: [
      '../node/index.ts',
      '../sim/index.ts',
      '../../loop/types.ts',
      '../../tasks/future.ts',
      '../../net/transport.ts',
      '../../index.ts',
      'some-package',
    ],
  },
  'src/backend/uv/tls/file.ts': {
    may: ['./engine.ts', '../addon.ts', '../../backend.ts', '../../shared/tls.ts', '../../../base/errors.ts'],
    mustNot: [
      '../../node/index.ts',
      '../../sim/index.ts',
      '../../../loop/types.ts',
      '../../../tasks/future.ts',
      '../../../net/transport.ts',
      'some-package',
    ],
  },
  'src/loops/uv-event-loop.ts': {
    may: ['../event-loop.ts', '../base/errors.ts', '../backend/uv/index.ts'],
    mustNot: ['../backend/node/index.ts', '../backend/sim/index.ts', '../policy.ts', '../net/server.ts'],
  },
  'src/process/file.ts': {
    may: [
      './spawn.ts',
      '../base/errors.ts',
      '../net/transport.ts',
      '../tasks/future.ts',
      '../backend/backend.ts',
    ],
    mustNot: ['../backend/node/index.ts', '../streams/reader.ts', '../event-loop.ts', 'node:child_process'],
  },
  'src/executor/file.ts': {
    may: [
      './executor.ts',
      '../base/errors.ts',
      '../tasks/future.ts',
      '../backend/backend.ts',
      'node:worker_threads',
    ],
    mustNot: ['../backend/node/index.ts', '../net/server.ts', '../event-loop.ts', 'node:net', 'some-package'],
  },
  'src/inspect/file.ts': {
    may: [
      './waits.ts',
      '../base/errors.ts',
      '../platform/node-modules.ts',
      '../loop/types.ts',
      '../tasks/task.ts',
      '../executor/pool-executor.ts',
    ],
    mustNot: ['../sync/lock.ts', '../net/transport.ts', '../event-loop.ts', '../index.ts', 'node:fs'],
  },
  'src/backend/sim/inet/file.ts': {
    may: ['./tcp.ts', '../host.ts', '../fabric/packet.ts', '../../backend.ts', '../../../base/errors.ts'],
    mustNot: [
      '../../node/index.ts',
      '../../shared/tls.ts',
      '../../../loop/types.ts',
      '../../../tasks/future.ts',
      'node:net',
    ],
  },
  'src/backend/sim/file.ts': {
    may: ['./host.ts', './inet/tcp.ts', '../backend.ts', '../shared/tls.ts', '../../base/errors.ts'],
    mustNot: [
      '../node/index.ts',
      '../shared/clock.ts',
      '../../loop/types.ts',
      '../../tasks/future.ts',
      'node:net',
      'node:timers',
    ],
  },
  'src/net/file.ts': {
    may: [
      './protocol.ts',
      '../base/errors.ts',
      '../loop/types.ts',
      '../tasks/future.ts',
      '../sync/event.ts',
      '../backend/backend.ts',
    ],
    mustNot: [
      '../backend/node/index.ts',
      '../backend/sim/index.ts',
      '../streams/reader.ts',
      '../event-loop.ts',
      '../policy.ts',
      '../index.ts',
      'node:net',
    ],
  },
  'src/streams/file.ts': {
    may: [
      './reader.ts',
      '../base/errors.ts',
      '../loop/context.ts',
      '../tasks/future.ts',
      '../net/protocol.ts',
    ],
    mustNot: [
      '../event-loop.ts',
      '../backend/backend.ts',
      '../backend/node/index.ts',
      '../policy.ts',
      '../index.ts',
      'node:stream',
    ],
  },
  'src/adapters/file.ts': {
    may: [
      './adapter.ts',
      '../base/errors.ts',
      '../loop/context.ts',
      '../tasks/future.ts',
      '../net/transport.ts',
      '../backend/backend.ts',
      'node:http',
      'node:https',
      'node:net',
      'node:stream',
      'node:stream/web',
    ],
    mustNot: [
      '../event-loop.ts',
      '../streams/reader.ts',
      '../backend/node/index.ts',
      '../policy.ts',
      '../index.ts',
      'node:http2',
      'node:tls',
    ],
  },
  'src/event-loop.ts': {
    may: [
      './base/errors.ts',
      './loop/scheduler.ts',
      './tasks/task.ts',
      './sync/lock.ts',
      './net/connect.ts',
      './streams/open.ts',
      './backend/backend.ts',
    ],
    mustNot: [
      './backend/node/index.ts',
      './backend/sim/index.ts',
      './policy.ts',
      './runner.ts',
      './loops/node-event-loop.ts',
      './adapters/to-duplex.ts',
      './index.ts',
      './entry/sim.ts',
      'node:net',
    ],
  },
  'src/loops/node-event-loop.ts': {
    may: ['../event-loop.ts', '../backend/node/index.ts', '../backend/backend.ts'],
    mustNot: ['../backend/sim/index.ts', '../net/connect.ts', '../policy.ts', '../index.ts', 'node:net'],
  },
  'src/loops/simulated-event-loop.ts': {
    may: ['../event-loop.ts', '../backend/sim/index.ts', '../backend/backend.ts'],
    mustNot: ['../backend/node/index.ts', '../tasks/task.ts', '../policy.ts', '../index.ts', 'node:net'],
  },
  'src/loops/another-event-loop.ts': {
    may: ['../event-loop.ts'],
    mustNot: ['../backend/node/index.ts', '../backend/sim/index.ts'],
  },
  'src/policy.ts': {
    may: [
      './base/errors.ts',
      './loop/context.ts',
      './event-loop.ts',
      './loops/node-event-loop.ts',
      './platform/node-modules.ts',
    ],
    mustNot: ['./backend/node/index.ts', './net/connect.ts', './runner.ts', './index.ts', 'node:net'],
  },
  'src/runner.ts': {
    may: ['./base/errors.ts', './loop/context.ts', './tasks/gather.ts', './policy.ts', './event-loop.ts'],
    mustNot: ['./backend/node/index.ts', './net/connect.ts', './streams/open.ts', './index.ts', 'node:net'],
  },
  'src/sim/file.ts': {
    may: [
      './world.ts',
      '../base/errors.ts',
      '../loop/context.ts',
      '../tasks/task.ts',
      '../event-loop.ts',
      '../loops/simulated-event-loop.ts',
      '../policy.ts',
      '../runner.ts',
      '../backend/sim/host.ts',
      '../backend/sim/fabric/fabric.ts',
      'node:fs',
    ],
    mustNot: [
      '../backend/node/index.ts',
      '../backend/uv/index.ts',
      '../loops/uv-event-loop.ts',
      '../index.ts',
    ],
  },
  'src/sim/explore/file.ts': {
    may: ['./run.ts', '../simulate.ts', '../../base/errors.ts', '../../backend/sim/choices.ts', 'node:fs'],
    mustNot: ['../../backend/node/index.ts', '../../net/server.ts', '../../index.ts', 'some-package'],
  },
  'src/sim/history/file.ts': {
    may: ['./models.ts', '../../base/errors.ts'],
    mustNot: ['../world.ts', '../../backend/sim/choices.ts', '../../index.ts', 'node:fs', 'some-package'],
  },
  'src/sim/foreign/file.ts': {
    may: ['./clocks.ts', '../place.ts', '../../base/errors.ts', '../../backend/sim/inet/udp.ts', 'node:net'],
    mustNot: ['../../backend/node/index.ts', '../../index.ts', 'some-package'],
  },
  'src/testing/file.ts': {
    may: [
      './leaks.ts',
      '../base/errors.ts',
      '../loop/ownership.ts',
      '../tasks/timeout.ts',
      '../net/transport.ts',
      '../event-loop.ts',
      '../policy.ts',
      'node:assert',
    ],
    mustNot: [
      '../backend/node/index.ts',
      '../loops/node-event-loop.ts',
      '../runner.ts',
      '../entry/testing.ts',
      '../index.ts',
      'node:test',
    ],
  },
  'src/workers/file.ts': {
    may: [
      './port.ts',
      '../base/errors.ts',
      '../platform/package-files.ts',
      '../net/stream/server.ts',
      '../executor/error-copy.ts',
      '../inspect/snapshot.ts',
      '../adapters/serve.ts',
      '../loops/uv-event-loop.ts',
      '../runner.ts',
      'node:cluster',
    ],
    mustNot: [
      '../backend/uv/index.ts',
      '../loops/simulated-event-loop.ts',
      '../entry/node.ts',
      '../index.ts',
    ],
  },
  'src/index.ts': {
    may: ['./base/errors.ts', './event-loop.ts', './streams/open.ts'],
    mustNot: ['./entry/sim.ts', './index.ts', 'node:net'],
  },
  'src/entry/sim.ts': {
    may: ['../loops/simulated-event-loop.ts', '../backend/sim/index.ts', 'node:test'],
    mustNot: ['../index.ts', '../entry/testing.ts', './testing.ts', 'some-package'],
  },
  'src/cli/file.ts': {
    may: [
      './format.ts',
      './attach/attach.ts',
      '../entry/workers.ts',
      '../index.ts',
      '../inspect/snapshot-types.ts',
      'node:util',
    ],
    mustNot: ['../inspect/snapshot.ts', '../tasks/task.ts', '../entry/sim.ts', 'some-package'],
  },
  'src/cli/attach/file.ts': {
    may: [
      '../problem.ts',
      '../socket/listen.ts',
      '../../index.ts',
      '../../platform/package-files.ts',
      'node:net',
    ],
    mustNot: ['../../inspect/snapshot.ts', '../../tasks/task.ts', '../../entry/sim.ts', 'some-package'],
  },
  'src/newcomer/file.ts': {
    may: ['./other.ts'],
    mustNot: ['../base/errors.ts', '../index.ts', 'node:net'],
  },
  'examples/file.ts': {
    may: ['gyre', 'gyre/sim', 'node:net'],
    mustNot: ['../src/index.ts', '../src/entry/sim.ts'],
  },
};

/** For each file: code on a line of its own, and the rule that must reject it (`null`: accepted). */
const code: Record<string, [line: string, rule: string | null][]> = {
  'src/net/clocks.ts': [
    ['Date.now();', 'lint/style/noRestrictedGlobals'],
    ['new Date();', 'lint/style/noRestrictedGlobals'],
    ['performance.now();', 'lint/style/noRestrictedGlobals'],
    ['setTimeout(Object, 1);', 'lint/style/noRestrictedGlobals'],
    ['setImmediate(Object);', 'lint/style/noRestrictedGlobals'],
    ['Math.random();', 'plugin'],
    ['process.hrtime.bigint();', 'plugin'],
    ['process.nextTick(Object);', 'plugin'],
    ['globalThis.setTimeout(Object, 1);', 'plugin'],
    ['Promise.race([]);', 'plugin'],
    ['AbortSignal.any([]);', 'plugin'],
    ['async function forgotten(): Promise<void> {}', null],
    ['forgotten();', 'lint/nursery/noFloatingPromises'],
    ['Math.max(1, 2);', null],
  ],
  'src/backend/node/clocks.ts': [
    ['Date.now();', null],
    ['process.hrtime.bigint();', null],
    ['setTimeout(Object, 1);', null],
    ['Promise.race([]);', 'plugin'],
  ],
  'src/backend/node/eager.ts': [
    ["import { connect } from 'node:net';", 'plugin'],
    ["import * as fs from 'node:fs';", 'plugin'],
    ["import type { Server } from 'node:net';", null],
    ["import { constants } from 'node:os';", null],
    ['connect(constants);', null],
  ],
  'src/sim/eager.ts': [["import { Server } from 'node:net';", null]],
  'src/net/thenable.ts': [['export const x = { then(): void {} };', 'lint/suspicious/noThenProperty']],
  'src/tasks/future.ts': [['export const x = { then(): void {} };', null]],
  'test/file.test.ts': [
    ['setTimeout(Object, 1);', 'lint/style/noRestrictedGlobals'],
    ["import { test } from 'node:test';", null],
    // Text for the linter, which has to reject it: nothing is skipped here.
    ["test.skip('is skipped', () => {});", 'lint/suspicious/noSkippedTests'],
    ["test.only('is alone', () => {});", 'lint/suspicious/noFocusedTests'],
  ],
  'src/net/cycle-a.ts': [
    ["import { b } from './cycle-b.ts';", 'lint/suspicious/noImportCycles'],
    ['export const a: number = b;', null],
  ],
  'src/net/cycle-b.ts': [
    ["import { a } from './cycle-a.ts';", 'lint/suspicious/noImportCycles'],
    ['export const b: number = a;', null],
  ],
  'src/net/type-cycle-a.ts': [
    ["import type { B } from './type-cycle-b.ts';", null],
    ['export type A = B | 1;', null],
  ],
  'src/net/type-cycle-b.ts': [
    ["import type { A } from './type-cycle-a.ts';", null],
    ['export type B = A[];', null],
  ],
};

interface Report {
  diagnostics: { category: string | null; location: { path: string; start: { line: number } } }[];
}

let folder = '';
/** Returns `path:line` of each complaint, with the names of the rules. */
const complaints = new Map<string, string[]>();

function complaintsAt(file: string, index: number): string[] {
  return complaints.get(`${file}:${index + 1}`) ?? [];
}

const rules = new Set(Object.values(code).flatMap((lines) => lines.map(([, rule]) => rule)));

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'gyre-layers-'));
  cpSync(path.join(root, 'biome.json'), path.join(folder, 'biome.json'));
  cpSync(path.join(root, 'scripts/lint'), path.join(folder, 'scripts/lint'), { recursive: true });
  const write = (file: string, lines: string[]): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), `${lines.join('\n')}\n`);
  };
  for (const [file, { may, mustNot }] of Object.entries(table)) {
    // Odd lines as a value, even ones as a type: the table makes no difference between them.
    const lines = [...may, ...mustNot].map((from, i) =>
      i % 2 === 0
        ? `export { name as n${i} } from '${from}';`
        : `export type { name as n${i} } from '${from}';`,
    );
    write(file, lines);
  }
  for (const [file, lines] of Object.entries(code)) {
    write(
      file,
      lines.map(([line]) => line),
    );
  }
  const require = createRequire(import.meta.url);
  const biome = path.join(path.dirname(require.resolve('@biomejs/biome/package.json')), 'bin/biome');
  let output: string;
  try {
    output = execFileSync(
      process.execPath,
      [
        biome,
        'lint',
        '--vcs-enabled=false',
        '--reporter=json',
        '--max-diagnostics=none',
        'src',
        'test',
        'examples',
      ],
      { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
  } catch (error) {
    // Biome exits with 1 because of the expected complaints.
    output = (error as { stdout: string }).stdout;
  }
  for (const { category, location } of (JSON.parse(output) as Report).diagnostics) {
    const key = `${location.path}:${location.start.line}`;
    complaints.set(key, [...(complaints.get(key) ?? []), category ?? '']);
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

for (const [file, { may, mustNot }] of Object.entries(table)) {
  test(`the import table holds for ${file}`, () => {
    [...may, ...mustNot].forEach((from, index) => {
      const refused = complaintsAt(file, index).includes('lint/style/noRestrictedImports');
      assert.equal(refused, !may.includes(from), `${file} imports ${from}`);
    });
  });
}

for (const [file, lines] of Object.entries(code)) {
  test(`the lint rules hold for ${file}`, () => {
    lines.forEach(([line, rule], index) => {
      const found = complaintsAt(file, index);
      if (rule === null) {
        const unwanted = found.filter((name) => rules.has(name));
        assert.deepEqual(unwanted, [], `${file}: ${line}`);
      } else {
        assert.ok(found.includes(rule), `${file}: ${line} should be refused by ${rule}, got [${found}]`);
      }
    });
  });
}
