import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { withProgram } from './program.ts';

const MEBIBYTE = 1024 * 1024;

test('examples/echo.ts has 25 lines', () => {
  const text = readFileSync(new URL('../../examples/echo.ts', import.meta.url), 'utf8');
  assert.equal(text.trimEnd().split('\n').length, 25);
});

test('examples/echo.ts returns all data, more than any buffer holds, and ends by SIGINT', () =>
  withProgram(['echo.ts', '0'], async (program) => {
    const [, port] = await program.untilSaid(/echo on 127\.0\.0\.1,(\d+)/);
    const client = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    const piece = Buffer.alloc(MEBIBYTE, 'abc');
    for (let i = 0; i < 64; i++) client.write(piece);
    client.end();
    let bytes = 0;
    for await (const data of client) bytes += (data as Buffer).length;
    assert.equal(bytes, 64 * MEBIBYTE);

    const idle = connect(Number(port), '127.0.0.1');
    await once(idle, 'connect');
    idle.write('x');
    await once(idle, 'data');
    const closed = once(idle, 'close');
    program.interrupt();
    assert.equal(await program.ended(), 0, program.output);
    await closed;
  }));
