import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StreamReader, StreamWriter } from '../../src/index.ts';
import {
  CancelledError,
  LimitOverrunError,
  NodeEventLoop,
  openUnixConnection,
  sleep,
  startUnixServer,
} from '../../src/index.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { onNode } from '../helpers/pairs.ts';
import { inDirectory, noUnix } from '../helpers/unix-pairs.ts';

/**
 * Runs `body` as a task on a real loop, with the path of a socket in a directory that is removed afterwards.
 */
function withPath(body: (path: string) => Promise<void>): () => Promise<void> {
  return onNode(() => inDirectory((directory) => body(join(directory, 'socket'))));
}

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for await (const chunk of reader) {
    writer.write(chunk);
    await writer.drain();
  }
  writer.close();
}

describe('streams over a unix socket', { skip: noUnix }, () => {
  test(
    'streams over a unix socket echo more data than all buffers hold',
    withPath(async (path) => {
      const server = await startUnixServer(echo, path);
      const [reader, writer] = await openUnixConnection(path);
      const bytes = 4 << 20;
      writer.write(Buffer.alloc(bytes, 'echo'));
      const echoed = reader.readexactly(bytes);
      await writer.drain();
      assert.ok((await echoed).equals(Buffer.alloc(bytes, 'echo')));
      assert.equal(writer.getExtraInfo('peername'), path);
      writer.writeEof();
      assert.equal((await reader.read()).length, 0);
      writer.close();
      await writer.waitClosed();
      await server[Symbol.asyncDispose]();
      assert.equal(existsSync(path), false);
    }),
  );

  test(
    'streams over a unix socket carry TLS',
    withPath(async (path) => {
      const server = await startUnixServer(echo, path, { ssl: serverTls() });
      const [reader, writer] = await openUnixConnection(path, {
        ssl: clientTls(),
        serverHostname: 'localhost',
      });
      writer.write('secret\n');
      assert.equal(String(await reader.readline()), 'secret\n');
      assert.match(String(writer.getExtraInfo('cipher')?.version), /^TLSv1\.[23]$/);
      writer.close();
      await writer.waitClosed();
      await server[Symbol.asyncDispose]();
      // The client rejects a certificate for another name.
      const wrong = await startUnixServer(echo, path, { ssl: serverTls() });
      const options = { ssl: clientTls(), serverHostname: 'elsewhere.test' };
      await assert.rejects(openUnixConnection(path, options), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      await wrong[Symbol.asyncDispose]();
    }),
  );

  test(
    'streams over a unix socket respect their limit',
    withPath(async (path) => {
      const overrun: unknown[] = [];
      const server = await startUnixServer(
        async (reader, writer) => {
          await reader.readuntil('\n').catch((error) => overrun.push(error));
          writer.close();
        },
        path,
        { limit: 10 },
      );
      const [reader, writer] = await openUnixConnection(path, { limit: 20 });
      assert.equal(reader.limit, 20);
      writer.write('a line that is too long');
      await reader.read();
      assert.ok(overrun[0] instanceof LimitOverrunError);
      writer.close();
      await writer.waitClosed();
      await server[Symbol.asyncDispose]();
    }),
  );

  test(
    'streams over a unix socket are refused, cancelled and aborted as the connections below',
    withPath(async (path) => {
      await assert.rejects(openUnixConnection(path), { code: 'ENOENT' });
      const server = await startUnixServer(echo, path);
      await assert.rejects(startUnixServer(echo, path), { code: 'EADDRINUSE' });
      for (let turns = 0; turns < 6; turns++) {
        const opening = openUnixConnection(path);
        for (let i = 0; i < turns; i++) await sleep(0);
        opening.cancel();
        const opened = await opening.catch((error) => assert.ok(error instanceof CancelledError));
        opened?.[1].close();
        await opened?.[1].waitClosed();
      }
      const controller = new AbortController();
      const aborted = openUnixConnection(path, { signal: controller.signal });
      controller.abort('why');
      await assert.rejects(aborted, { name: 'CancelledError', cause: 'why' });
      await assert.rejects(openUnixConnection(path, { signal: controller.signal }), { cause: 'why' });
      await assert.rejects(startUnixServer(echo, `${path}2`, { signal: controller.signal }), {
        cause: 'why',
      });
      await server[Symbol.asyncDispose]();
    }),
  );

  test('openUnixConnection() and startUnixServer() check their arguments, and need a running loop', async () => {
    const call = (fn: unknown, ...args: unknown[]): unknown =>
      Reflect.apply(fn as () => unknown, undefined, args);
    assert.throws(() => call(openUnixConnection, '/tmp/x'), { code: 'ERR_NO_RUNNING_LOOP' });
    assert.throws(() => call(startUnixServer, echo, '/tmp/x'), { code: 'ERR_NO_RUNNING_LOOP' });
    const loop = new NodeEventLoop();
    await loop.runUntilComplete(async () => {
      assert.throws(() => call(openUnixConnection), /"path"/);
      assert.throws(() => call(openUnixConnection, 7), /"path"/);
      assert.throws(() => call(openUnixConnection, '/tmp/x', null), /"options"/);
      assert.throws(() => call(openUnixConnection, '/tmp/x', { limit: -1 }), /"options.limit"/);
      assert.throws(() => call(openUnixConnection, '/tmp/x', { host: 'x' }), /"options.host"/);
      assert.throws(() => call(startUnixServer, 5, '/tmp/x'), /"callback"/);
      assert.throws(() => call(startUnixServer, echo), /"path"/);
      assert.throws(() => call(startUnixServer, echo, '/tmp/x', { limit: 'x' }), /"options.limit"/);
    });
    loop.close();
  });
});
