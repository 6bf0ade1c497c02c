/** The programs of examples/stuck, which pages of docs/ show. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gyre, startProgram } from '../cli/programs.ts';

const skip = process.platform !== 'linux' && 'the command reads /proc';

const fileOf = (name: string): string =>
  fileURLToPath(new URL(`../../examples/stuck/${name}.ts`, import.meta.url));

const start = (name: string) => startProgram(['--inspect-port=0'], fileOf(name));

test('gyre pstree shows the deadlock of examples/stuck/deadlock.ts', { skip }, async () => {
  await using program = await start('deadlock');
  const { text } = await gyre('pstree', String(program.pid));
  assert.match(text, /order .*Lock\.acquire\(\).*\n.*held by report .*\n.*held by order \(shown above\)/);
  assert.match(text, /deadlock: report waits at Lock\.acquire\(\) for order, order waits/);
});

test('gyre doctor shows the function that holds the loop of examples/stuck/held-loop.ts', {
  skip,
}, async () => {
  await using program = await start('held-loop');
  const { code, text } = await gyre('doctor', String(program.pid), '--seconds', '0.2');
  assert.match(text, /a callback holds the loop: it ran in [345] of 5 looks\n(.*\n)*? +checkNames \(/);
  assert.equal(code, 1);
});

test('gyre doctor names the limit of examples/stuck/late-answers.ts, which expires always', {
  skip,
}, async () => {
  await using program = await start('late-answers');
  for (let late = 0; late < 6; ) {
    const [data] = await once(program.child.stdout as Readable, 'data');
    late += String(data).split('no answer').length - 1;
  }
  const { code, text } = await gyre('doctor', String(program.pid), '--seconds', '0.1');
  assert.match(text, /a limit expires always: \d+ times in a row/);
  assert.match(text, /timeout\(\) of 50 ms around \(\) => askPrice\(port\), in task main/);
  assert.equal(code, 1);
});

for (const [page, name] of [
  ['stuck', 'deadlock'],
  ['held-loop', 'held-loop'],
  ['production', 'late-answers'],
] as const) {
  test(`docs/${page}.md shows examples/stuck/${name}.ts as it is`, () => {
    const text = readFileSync(new URL(`../../docs/${page}.md`, import.meta.url), 'utf8');
    assert.ok(text.includes(`\`\`\`ts ignore\n${readFileSync(fileOf(name), 'utf8')}\`\`\`\n`));
  });
}
