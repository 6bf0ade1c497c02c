/** `gyre trace`: files of running processes. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gyre, start } from './programs.ts';

const entry = fileURLToPath(new URL('../../src/entry/inspect.ts', import.meta.url));
const onLinux = process.platform !== 'linux' && 'the command reads /proc';

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-trace-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const names = (file: string): string[] =>
  JSON.parse(readFileSync(file, 'utf8')).traceEvents.map(({ name }: { name: string }) => name);

for (const [way, flags] of [
  ['inspector', ['--inspect-port=0']],
  ['socket', ['--import', entry]],
] as const) {
  test(
    `gyre trace writes the past and the present of a process, by its ${way}`,
    {
      skip: way === 'inspector' && onLinux,
    },
    () =>
      inFolder(async (folder) => {
        await using program = await start('idle', { flags: [...flags] });
        const file = path.join(folder, 'trace.json');
        const { code, text } = await gyre('trace', String(program.pid), '--seconds', '0.1', '-o', file);
        assert.equal(code, 0);
        assert.match(text, /^[\d,]+ events in .*trace\.json/);
        const found = names(file);
        for (const name of ['thread_name', 'fetch-a', 'fetch-b', 'turn'])
          assert.ok(found.includes(name), name);
      }),
  );
}

test('gyre trace keeps what it has when the process ends, or when the file may not become larger', () =>
  inFolder(async (folder) => {
    await using program = await start('idle', { flags: ['--import', entry] });
    const small = path.join(folder, 'small.json');
    const { text } = await gyre('trace', String(program.pid), '--megabytes', '0.0005', '-o', small);
    assert.match(text, /may not become larger/);
    assert.ok(statSync(small).size <= 500 && names(small).length > 0);
    const file = path.join(folder, 'trace.json');
    const tracing = gyre('trace', String(program.pid), '--seconds', '60', '-o', file, '--json');
    while (!readdirSync(folder).some((name) => name.endsWith('.part'))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    program.child.kill('SIGKILL');
    assert.equal(JSON.parse((await tracing).text).ended, 'process');
    assert.ok(names(file).includes('fetch-a'));
    assert.deepEqual(readdirSync(folder).sort(), ['small.json', 'trace.json']);
  }));

test('gyre trace says why it can not write its file, and leaves none', () =>
  inFolder(async (folder) => {
    await using program = await start('idle', { flags: ['--import', entry] });
    const file = path.join(folder, 'missing', 'trace.json');
    await assert.rejects(
      gyre('trace', String(program.pid), '-o', file),
      /^Problem: can't write .*ENOENT.*\nName another file/,
    );
    assert.deepEqual(readdirSync(folder), []);
  }));
