/** A backend brings its own file system. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files } from '../../src/backend/backend.ts';
import type { Transport } from '../../src/index.ts';
import { Protocol } from '../../src/index.ts';
import type { FakeStream } from '../net/fake-net.ts';
import { fakeNet } from '../net/fake-net.ts';

test('sendfile() reads the file from the file system of its backend, and closes it', async () => {
  const { loop, net, close } = fakeNet();
  const log: string[] = [];
  const text = Buffer.from('0123456789');
  const files: Files = {
    open(path, onDone) {
      log.push(`open ${String(path)}`);
      onDone(null, {
        fd: -1,
        read(buffer, length, position, onRead) {
          log.push(`read at ${position}`);
          onRead(null, text.copy(buffer, 0, position, position + length));
        },
        close: () => log.push('close'),
      });
    },
    wrap: () => null,
  };
  Object.assign(loop._backend, { files });
  let stream: FakeStream | null = null;
  net.onAttempt = (attempt) =>
    setImmediate(() => {
      stream = attempt.connect();
    });
  await loop.runUntilComplete(async () => {
    const connecting = loop.createConnection(() => new Protocol(), '192.0.2.2', 80);
    const [transport] = (await connecting) as [Transport, Protocol];
    assert.equal(await loop.sendfile(transport, 'numbers', { offset: 4 }), 6);
    assert.throws(() => loop.sendfile(transport, {} as never), { code: 'ERR_INVALID_ARG_TYPE' });
    transport.abort();
    (stream as FakeStream | null)?.events?.onClose(null);
  });
  assert.deepEqual(log, ['open numbers', 'read at 4', 'read at 10', 'close']);
  close();
});
