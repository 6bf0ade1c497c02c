/** `gyre diff`: two traces of simulated worlds. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { simulate } from '../../src/entry/sim.ts';
import { openConnection, sleep, startServer } from '../../src/index.ts';
import { gyre } from './programs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gyre-diff-'));
after(() => rmSync(folder, { recursive: true }));
const inFolder = (name: string): string => path.join(folder, name);

/** Writes the trace of a world in which a client sends a text. */
async function traceOf(name: string, text: string): Promise<string> {
  const traceFile = inFolder(name);
  await simulate({ seed: 7, traceFile, onReport: () => {} }, async (world) => {
    void world.host('server').run(async () => {
      await startServer(() => {}, null, 80);
      await sleep(60);
    });
    await world.host('client').run(async () => {
      await sleep(Math.random());
      const [, writer] = await openConnection('server', 80);
      writer.write(text);
      await sleep(1);
      writer.close();
    });
  });
  return traceFile;
}

test('two runs with one seed write identical trace files, with packets and the entries of the loops', async () => {
  const [first, second] = [await traceOf('a.json', 'one'), await traceOf('b.json', 'one')];
  const text = readFileSync(first, 'utf8');
  assert.equal(text, readFileSync(second, 'utf8'));
  const events: { ph: string; cat?: string; args?: { name: string } }[] = JSON.parse(text).traceEvents;
  assert.ok(['packet', 'loop', 'program'].every((kind) => events.some(({ cat }) => cat === kind)));
  const hosts = events.filter(({ ph }) => ph === 'M').map(({ args }) => args?.name);
  assert.ok(hosts.includes('server') && hosts.includes('client'), hosts.join());
  const same = await gyre('diff', first, second);
  assert.equal(same.code, 0);
  assert.match(same.text, /^Both traces have the same \d+ events\.\n$/);
});

test('gyre diff prints the first event that differs, with the events before it on both sides', async () => {
  const [first, second] = [await traceOf('c.json', 'one'), await traceOf('d.json', 'longer')];
  const { code, text } = await gyre('diff', first, second);
  assert.equal(code, 1);
  assert.match(
    text,
    /^The traces differ at event \d+\.\n.*c\.json \(\d+ events\):\n( {4}.*\n){3} {2}> .*\n.*d\.json/,
  );
  const json = await gyre('diff', first, second, '--json');
  assert.equal(json.code, 1);
  const answer = JSON.parse(json.text);
  assert.deepEqual([answer.equal, answer.before.length], [false, 3]);
  assert.notDeepEqual(answer.first, answer.second);
});

test('gyre diff finds that a trace ends earlier, and refuses files that are no traces', async () => {
  const event = { name: 'a', ph: 'i', ts: 0, pid: 1, tid: 0 };
  writeFileSync(inFolder('one'), JSON.stringify({ traceEvents: [event] }));
  writeFileSync(inFolder('none'), JSON.stringify({ traceEvents: [] }));
  const { code, text } = await gyre('diff', inFolder('one'), inFolder('none'));
  assert.equal(code, 1);
  assert.match(text, /> 0 µs: a .*\n.*\(0 events\):\n {2}> its end\n$/);
  await assert.rejects(gyre('diff', inFolder('one'), inFolder('missing')), /^Problem: can't read .*ENOENT/);
  for (const content of ['', 'null', '{}', '{"traceEvents":[null]}', '{"traceEvents":[{"name":1}]}']) {
    writeFileSync(inFolder('other'), content);
    await assert.rejects(gyre('diff', inFolder('one'), inFolder('other')), /^Problem: .*other is no trace/);
  }
  await assert.rejects(gyre('diff', inFolder('one')), /^Problem: diff needs two trace files/);
});

test('a simulation that fails writes its trace, and one without events takes no trace file', async () => {
  const traceFile = inFolder('failed.json');
  const failing = simulate({ seed: 1, traceFile }, async () => {
    throw new Error('bug');
  });
  await assert.rejects(failing, /bug/);
  assert.ok(JSON.parse(readFileSync(traceFile, 'utf8')).traceEvents.length > 0);
  const refused = simulate({ trace: false, traceFile }, async () => {});
  await assert.rejects(refused, { code: 'ERR_OUT_OF_RANGE' });
});
