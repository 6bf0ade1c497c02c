import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { createSubprocessExec, openConnection, Protocol } from '../../src/index.ts';
import { explainPort } from '../../src/net/port-error.ts';
import { onNode, portOf } from '../helpers/pairs.ts';

test(
  'a port in use is told with the port and how to choose another, for TCP and for UDP',
  onNode(async (loop) => {
    await using server = await loop.createServer(Protocol, '127.0.0.1', 0);
    const port = portOf(server);
    const fields = { code: 'EADDRINUSE', address: '127.0.0.1', port };
    const advice = new RegExp(
      `EADDRINUSE.* 127\\.0\\.0\\.1:${port} \\(another socket has port ${port}: stop its program, or pass port 0 for a free one\\)`,
    );
    const refused = (error: Error): boolean => {
      assert.match(error.message, advice);
      // Consoles print the stack.
      assert.match(inspect(error), advice);
      for (const [key, value] of Object.entries(fields)) assert.equal(error[key as never], value);
      return true;
    };
    await assert.rejects(async () => await loop.createServer(Protocol, '127.0.0.1', port), refused);
    const [endpoint] = await loop.createDatagramEndpoint(() => ({}), { localAddr: ['127.0.0.1', 0] });
    const [, taken] = endpoint.getExtraInfo('sockname') as [string, number];
    await assert.rejects(
      async () => await loop.createDatagramEndpoint(() => ({}), { localAddr: ['127.0.0.1', taken] }),
      { code: 'EADDRINUSE', message: /or pass port 0 for a free one\)$/ },
    );
    await endpoint[Symbol.asyncDispose]();
  }),
);

test('a privileged port that is refused is told with the first port that needs no privilege', () => {
  const error = Object.assign(new Error('listen EACCES: permission denied 0.0.0.0:80'), { code: 'EACCES' });
  assert.equal(explainPort(error, ['0.0.0.0', 80]), error);
  assert.match(error.message, /0\.0\.0\.0:80 \(ports below 1024 need a privilege: choose a higher one/);
  assert.match(String(error.stack), /need a privilege/);
  for (const local of [null, '/a/socket', ['0.0.0.0', 8080] as const, ['0.0.0.0', 0] as const]) {
    const other = Object.assign(new Error('text'), { code: 'EACCES' });
    assert.equal(explainPort(other, local).message, 'text');
  }
});

test(
  'a refused connection tells its address, and a program that is not there its name',
  onNode(async (loop) => {
    const server = await loop.createServer(Protocol, '127.0.0.1', 0);
    const port = portOf(server);
    await server[Symbol.asyncDispose]();
    await assert.rejects(async () => await openConnection('127.0.0.1', port), {
      code: 'ECONNREFUSED',
      message: `connect ECONNREFUSED 127.0.0.1:${port}`,
    });
    await assert.rejects(async () => await createSubprocessExec('no-such-program', []), {
      code: 'ENOENT',
      path: 'no-such-program',
      message: 'spawn no-such-program ENOENT',
    });
  }),
);
