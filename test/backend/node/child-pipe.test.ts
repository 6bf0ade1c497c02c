import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { StreamEvents } from '../../../src/backend/backend.ts';
import { ChildInput } from '../../../src/backend/node/child-pipe.ts';
import { Recording } from '../../helpers/recording.ts';

class EventRecorder extends Recording implements StreamEvents {
  error: Error | null = null;
  onRead(): void {
    this.note('read');
  }
  onEnd(): void {
    this.note('end');
  }
  onWritten(): void {
    this.note('written');
  }
  onClose(error: Error | null): void {
    this.note('close');
    this.error = error;
  }
}

/** A host that hides the handles of its sockets, so that a child's stdin cannot be watched. */
class Unwatched extends Writable {
  readonly taken: string[] = [];
  #waiting: (() => void) | null = null;
  unref(): this {
    return this;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(String(chunk));
    if (String(chunk) === 'stuck') this.#waiting = done;
    else done();
  }
  release(): void {
    this.#waiting?.();
  }
}

test('ChildInput that cannot watch its reader ends with the child', async () => {
  for (const [written, code] of [
    ['fine', undefined],
    ['stuck', 'EPIPE'],
  ] as const) {
    const socket = new Unwatched();
    const input = new ChildInput(socket as unknown as Socket);
    const log = new EventRecorder();
    input.open(log);
    assert.equal(input.write([Buffer.from(written)]), written === 'fine');
    assert.deepEqual(log.log, []);
    input.childEnded();
    await once(socket, 'close');
    assert.deepEqual(log.log, ['close']);
    assert.equal((log.error as NodeJS.ErrnoException | null)?.code, code);
  }
});

test('ChildInput calls onWritten() when refused data has left', async () => {
  const socket = new Unwatched();
  const input = new ChildInput(socket as unknown as Socket);
  const log = new EventRecorder();
  input.open(log);
  assert.equal(input.write([Buffer.from('a'), Buffer.from('stuck')]), false);
  socket.release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([log.log, socket.taken.slice(0, 2)], [['written'], ['a', 'stuck']]);
  input.abort();
  await once(socket, 'close');
  assert.deepEqual([log.log, log.error], [['written', 'close'], null]);
});

test('ChildInput reports events before open() after it', async () => {
  const child: ChildProcess = spawn('sh', ['-c', 'exec <&-; sleep 0.2'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const input = new ChildInput(child.stdin as Socket);
  Object.assign(child, { stdin: null, stdio: [] });
  await once(child, 'exit');
  await new Promise((resolve) => setImmediate(resolve));
  const log = new EventRecorder();
  input.open(log);
  assert.deepEqual(log.log, []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([log.log, log.error], [['close'], null]);
});

test('ChildInput drops data that the child writes to its stdin', async () => {
  const command = 'head -c 1000000 /dev/zero >&0; read word; test "$word" = after';
  const child: ChildProcess = spawn('sh', ['-c', command], { stdio: ['pipe', 'ignore', 'ignore'] });
  const input = new ChildInput(child.stdin as Socket);
  Object.assign(child, { stdin: null, stdio: [] });
  const log = new EventRecorder();
  input.open(log);
  input.write([Buffer.from('after\n')]);
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.equal(log.log.includes('read'), false);
});
