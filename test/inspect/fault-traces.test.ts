/**
 * `GYRE_TRACE`: traces at an uncaught error and at SIGUSR2. GYRE_TEST_BACKEND chooses the loops of the
 * programs, as those of `onNode()`.
 */
import assert from 'node:assert/strict';
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isNative } from '../helpers/pairs.ts';

const program = fileURLToPath(new URL('./fault-traces.child.ts', import.meta.url));
const needsSignals = process.platform === 'win32' && 'Windows has no SIGUSR2';
const same = isNative && 'the backend makes no difference';

class Child {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  output: string = '';
  errors: string = '';

  constructor(scenario: string, trace: string, env: Record<string, string> = {}) {
    const flags = process.execArgv.filter(
      (flag, i, all) => flag.startsWith('--import') || all[i - 1] === '--import',
    );
    this.process = spawn(process.execPath, [...flags, program, scenario], {
      env: { ...process.env, GYRE_BACKEND: isNative ? 'uv' : 'node', GYRE_TRACE: trace, ...env },
    });
    this.process.stdout.on('data', (data) => {
      this.output += data;
    });
    this.process.stderr.on('data', (data) => {
      this.errors += data;
    });
  }

  async ended(): Promise<number | null> {
    const [code] = await once(this.process, 'close');
    return code;
  }

  /** Waits until standard error has the text. */
  async says(text: string, times: number = 1): Promise<void> {
    while (this.errors.split(text).length <= times) await once(this.process.stderr, 'data');
  }
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-fault-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns the names of the files without the id of the process, and the names of the events of the first. */
function tracesIn(folder: string, child: Child): { files: string[]; events: string[] } {
  const files = readdirSync(folder).sort();
  const { traceEvents } = JSON.parse(readFileSync(path.join(folder, files[0] ?? ''), 'utf8'));
  return {
    files: files.map((file) => file.replace(String(child.process.pid), 'PID')),
    events: traceEvents.map(({ name }: { name: string }) => name),
  };
}

test('a program that ends by an uncaught error leaves a trace in the folder of GYRE_TRACE', () =>
  inFolder(async (folder) => {
    const made = path.join(folder, 'made', 'by gyre');
    const child = new Child('rejects', made);
    assert.equal(await child.ended(), 1);
    assert.match(child.errors, /gyre: the last events are in .*gyre-\d+-1\.json[\s\S]*RangeError: too far/);
    const { files, events } = tracesIn(made, child);
    assert.deepEqual(files, ['gyre-PID-1.json']);
    assert.ok(events.includes('doomed'), events.join());
  }));

test('the trace of an error in a turn has the callback that ran', () =>
  inFolder(async (folder) => {
    const child = new Child('throwsInATurn', folder);
    assert.equal(await child.ended(), 0, child.errors);
    assert.ok(tracesIn(folder, child).events.includes('lastCallback'));
  }));

test('each uncaught error of a program that goes on has a file of its own', () =>
  inFolder(async (folder) => {
    const child = new Child('goesOn', folder);
    assert.equal(await child.ended(), 0, child.errors);
    assert.deepEqual(tracesIn(folder, child).files, ['gyre-PID-1.json', 'gyre-PID-2.json']);
  }));

test(
  'an uncaught error of a worker thread leaves a trace with the number of the thread',
  { skip: same },
  () =>
    inFolder(async (folder) => {
      const child = new Child('worker', folder);
      assert.equal(await child.ended(), 0, child.errors);
      const { files, events } = tracesIn(folder, child);
      assert.match(files.join(), /^gyre-PID-worker\d+-1\.json$/);
      assert.ok(events.includes('doomed'), events.join());
    }),
);

test(
  'SIGUSR2 makes a running program write one trace for each signal, and it goes on',
  {
    skip: needsSignals,
  },
  () =>
    inFolder(async (folder) => {
      const child = new Child('waits', folder);
      await once(child.process.stdout, 'data');
      for (const times of [1, 2]) {
        child.process.kill('SIGUSR2');
        await child.says('.json\n', times);
      }
      child.process.stdin.write('end');
      assert.equal(await child.ended(), 0, child.errors);
      const { files, events } = tracesIn(folder, child);
      assert.deepEqual(files, ['gyre-PID-1.json', 'gyre-PID-2.json']);
      assert.ok(events.includes('patient'), events.join());
    }),
);

test(
  'SIGUSR2 gives a warning if GYRE_TRACE can not be written, or nothing was recorded',
  {
    skip: needsSignals || same,
  },
  () =>
    inFolder(async (folder) => {
      const file = path.join(folder, 'file');
      writeFileSync(file, '');
      const refused = async (trace: string, env: Record<string, string>, reason: RegExp): Promise<void> => {
        const child = new Child('waits', trace, env);
        await once(child.process.stdout, 'data');
        child.process.kill('SIGUSR2');
        await child.says('\n');
        child.process.stdin.write('end');
        assert.equal(await child.ended(), 0, child.errors);
        assert.match(child.errors, reason);
      };
      await Promise.all([
        refused(path.join(file, 'below'), {}, /^gyre: GYRE_TRACE could not write a trace: ENOTDIR.*\n$/),
        refused(
          path.join(folder, 'none'),
          { GYRE_RECORDER: '0' },
          /^gyre: GYRE_TRACE could .* no loop .*\n$/,
        ),
      ]);
    }),
);

test('an uncaught error stays the same if GYRE_TRACE can not be written', { skip: same }, () =>
  inFolder(async (folder) => {
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    const child = new Child('rejects', file);
    assert.equal(await child.ended(), 1);
    assert.match(
      child.errors,
      /^gyre: GYRE_TRACE could not write a trace: EEXIST.*[\s\S]*RangeError: too far/,
    );
  }),
);

test(
  'a trace never replaces an older file, and a process writes no more than a hundred',
  {
    skip: needsSignals || same,
  },
  () =>
    inFolder(async (folder) => {
      const child = new Child('waits', folder);
      await once(child.process.stdout, 'data');
      for (let i = 1; i <= 99; i++)
        writeFileSync(path.join(folder, `gyre-${child.process.pid}-${i}.json`), '');
      child.process.kill('SIGUSR2');
      await child.says('-100.json\n');
      child.process.kill('SIGUSR2');
      await child.says('100 traces of this process');
      child.process.stdin.write('end');
      assert.equal(await child.ended(), 0, child.errors);
      assert.equal(readdirSync(folder).length, 100);
      assert.equal(readFileSync(path.join(folder, `gyre-${child.process.pid}-1.json`), 'utf8'), '');
    }),
);

test('without GYRE_TRACE a program has no listener for its errors or SIGUSR2', { skip: same }, async () => {
  const child = new Child('returns', '');
  assert.equal(await child.ended(), 0, child.errors);
  assert.equal(child.output, '0 0\n');
});
