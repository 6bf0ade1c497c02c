import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withProgram } from './program.ts';

test('examples/http-over-gyre.ts requests its own page, and leaves nothing behind', () =>
  withProgram(['http-over-gyre.ts', '0', '--ask'], async (program) => {
    assert.equal(await program.ended(), 0, program.output);
    const lines = program.output.trim().split('\n').slice(1);
    assert.deepEqual(lines, [
      '200 /sleep/0.1 slept 0.1 s',
      '200 /sleep/0.2 slept 0.2 s',
      '503 /sleep/60 that takes too long',
      'closed',
    ]);
  }));

test('examples/http-over-gyre.ts serves fetch(), keeps connections open, and closes them by SIGINT', () =>
  withProgram(['http-over-gyre.ts', '0'], async (program) => {
    const [, origin] = await program.untilSaid(/(http:\/\/[\d.:]+)\/sleep/);
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => (await fetch(`${origin}/sleep/0.01`)).text()),
    );
    assert.deepEqual(new Set(answers), new Set(['slept 0.01 s\n']));
    assert.equal((await fetch(`${origin}/`)).status, 404);
    program.interrupt();
    assert.equal(await program.ended(), 0, program.output);
  }));
