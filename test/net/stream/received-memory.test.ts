/** The memory of received data: a protocol may try to transfer it, and harms nobody but itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeEventLoop } from '../../../src/index.ts';
import { openConnection, startServer } from '../../../src/index.ts';
import { giveAway } from '../../helpers/give-away.ts';
import { onNode, portOf, Recorder, recorders } from '../../helpers/pairs.ts';
import { tlsRecorders } from '../tls/tls-peers.ts';

const PAIRS: Record<string, (loop: NodeEventLoop) => Promise<{ near: Recorder; far: Recorder }>> = {
  TCP: (loop) => recorders(loop),
  TLS: (loop) => tlsRecorders(loop),
};

/** Asks for the memory of each chunk. The host gives it, copies it, or refuses. */
class Transferring extends Recorder {
  override dataReceived(data: Buffer): void {
    this.received += data.length;
    this.note('data');
    try {
      structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
    } catch (error) {
      assert.equal((error as Error).name, 'DataCloneError');
    }
  }
}

/** Whether the host lets the memory go: Node 26 keeps what is marked as untransferable. */
function isGivenAway(memory: ArrayBufferLike): boolean {
  try {
    giveAway(memory);
    return true;
  } catch (error) {
    assert.match((error as Error).message, /not detachable/);
    return false;
  }
}

for (const [kind, pair] of Object.entries(PAIRS)) {
  test(
    `a protocol that transfers the memory of what it received over ${kind} takes no data of other connections`,
    onNode(async (loop) => {
      const [transferring, keeping] = [await pair(loop), await pair(loop)];
      const greedy = new Transferring();
      transferring.far.transport.setProtocol(greedy);
      for (let i = 1; i <= 20; i++) {
        keeping.near.transport.write(`kept ${i}, `);
        transferring.near.transport.write('taken');
        await keeping.far.until(() => keeping.far.text.endsWith(`${i}, `));
        await greedy.untilReceived(5 * i);
      }
      const expected = Array.from({ length: 20 }, (_, i) => `kept ${i + 1}, `).join('');
      assert.equal(keeping.far.text, expected);
      // More than one piece of memory has room for.
      const much = 300_000;
      transferring.near.transport.write(Buffer.alloc(much));
      await greedy.untilReceived(100 + much);
      for (const { transport } of [transferring.near, keeping.near]) transport.close();
      await greedy.untilLost();
      await keeping.far.untilLost();
      assert.deepEqual([greedy.exception, keeping.far.exception], [null, null]);
    }),
  );
}

test(
  'reads fail by EFAULT when the memory of a line is transferred and unread lines lie in it',
  onNode(async (loop) => {
    const server = await startServer(
      async (reader, writer) => {
        writer.write('one\ntwo\nthree\n');
        await reader.read(1);
        writer.close();
      },
      '127.0.0.1',
      0,
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    const line = await reader.readline();
    assert.equal(line.toString(), 'one\n');
    if (isGivenAway(line.buffer)) {
      const fails = { code: 'EFAULT', syscall: 'read' };
      await assert.rejects(async () => reader.readline(), fails);
      await assert.rejects(async () => reader.readuntil('\n'), fails);
      await assert.rejects(async () => reader.readexactly(3), fails);
      await assert.rejects(async () => reader.read(100), fails);
    } else {
      assert.equal((await reader.readline()).toString(), 'two\n');
    }
    writer.close();
    server.close();
    await server.waitClosed();
    assert.equal(loop.isRunning(), true);
  }),
);
