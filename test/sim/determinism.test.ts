import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkDeterminism, compareTraces, simulate } from '../../src/entry/sim.ts';
import { getRunningLoop, sleep } from '../../src/index.ts';
import { cluster, clusterTrace } from './cluster.ts';

const quiet = { seed: 3, onReport: () => {} };

test('one seed gives one trace, and another seed another one', async () => {
  const first = await clusterTrace(1);
  assert.ok(first.length > 3000, String(first.length));
  const kinds = new Set(first.map(({ kind }) => kind));
  for (const kind of ['packet', 'lost', 'program', 'host', 'fault', 'loop']) assert.ok(kinds.has(kind), kind);
  assert.equal(compareTraces(first, await clusterTrace(1)), null);
  assert.notEqual(compareTraces(first, await clusterTrace(2)), null);
});

test('one seed gives one trace in two processes', async () => {
  const child = fileURLToPath(new URL('determinism.child.ts', import.meta.url));
  const digest = createHash('sha256')
    .update(JSON.stringify(await clusterTrace(7)))
    .digest('hex');
  const output = execFileSync(process.execPath, [...process.execArgv, child, '7'], { encoding: 'utf8' });
  assert.equal(output.trim(), digest);
});

test('checkDeterminism() accepts a world that follows from its seed', async () => {
  const trace = await checkDeterminism(cluster, quiet);
  assert.equal(compareTraces(trace, (await simulate({ ...quiet, trace: true }, cluster)).trace), null);
});

/** Returns the message of checkDeterminism() for a datagram that `draw` makes. */
async function difference(draw: () => { size: number; text: string }): Promise<string> {
  const failure = await checkDeterminism(async (world) => {
    const [a, b] = [world.host('a'), world.host('b')];
    await a.run(async () => {
      const remoteAddr: [string, number] = [b.addresses[0] as string, 5000];
      const [transport] = await getRunningLoop().createDatagramEndpoint(() => ({}), { remoteAddr });
      const { size, text } = draw();
      transport.sendto(text);
      await sleep(1);
      transport.sendto('x'.repeat(size));
      await sleep(1);
      transport.close();
      await sleep(1);
    });
  }, quiet).then(
    () => assert.fail('no difference was found'),
    (error: Error) => error,
  );
  return failure.message;
}

test('checkDeterminism() shows the first event that differs, and its host', async () => {
  let runs = 0;
  const message = await difference(() => ({ size: ++runs, text: 'same' }));
  const lines = message.split('\n').map((line) => line.trim());
  assert.match(String(lines[0]), /^two runs of one scenario differ at entry \d+:$/);
  assert.match(
    String(lines[1]),
    /^first run: {2}1 s: a packet udp 10\.0\.0\.1:\d+ > 10\.0\.0\.2:5000 1 bytes to b$/,
  );
  assert.match(
    String(lines[2]),
    /^second run: 1 s: a packet udp 10\.0\.0\.1:\d+ > 10\.0\.0\.2:5000 2 bytes to b$/,
  );
  assert.equal(lines[3], 'on host a');
  assert.doesNotMatch(message, /contents/);
});

test('checkDeterminism() names the first packet whose contents differ before the traces do', async () => {
  let runs = 0;
  const message = await difference(() => ({ size: ++runs, text: `token ${runs}` }));
  assert.match(message, /contents of a packet differ before[^\n]*\n {4}0 s: a packet udp .* 7 bytes to b/);
  assert.match(message, /SSL_OP_NO_TICKET/);
});

test('checkDeterminism() rejects with the exception of the scenario', async () => {
  const failing = checkDeterminism(async () => {
    throw new RangeError('of the scenario');
  }, quiet);
  await assert.rejects(failing, { name: 'RangeError', message: 'of the scenario' });
  await assert.rejects(checkDeterminism(5 as never, quiet), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(
    checkDeterminism(async () => {}, { sed: 1 } as never),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
});
