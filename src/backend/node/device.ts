/**
 * Character devices that the host cannot poll, as streams of Node.
 *
 * A thread reads and writes them. A waiting `read()` cannot be cancelled, and prevents the process from
 * exiting. Node cannot reopen an existing descriptor in another mode, but libuv makes a descriptor
 * non-blocking when a handle takes it.
 *
 * So the descriptor is made non-blocking, and an operation that would block is tried again a little later. If
 * the descriptor cannot be made non-blocking, the stream ends without waiting for its thread, and the
 * descriptor is closed when the thread returns.
 */

import type { Readable, Writable } from 'node:stream';
import { hostClearTimeout, hostSetTimeout } from '../../base/host.ts';
import { keepable } from '../../base/own-memory.ts';
import { node } from '../../platform/node-modules.ts';
import type { DescriptorHandle } from '../shared/pipe-descriptor.ts';
import { openAsTcp } from '../shared/pipe-descriptor.ts';
import { LAST_STDIO } from '../shared/stdio.ts';

/** Milliseconds until an operation is tried again. */
const RETRY = 10;
/** Milliseconds. An operation that does not block is done by then. */
const PATIENCE = 100;
const READ_BYTES = 65_536;

type Done = (error: Error | null, bytes: number) => void;
type Operation = (fd: number, done: (error: NodeJS.ErrnoException | null, bytes: number) => void) => void;

/** A descriptor that one thread at a time uses. */
class Device {
  readonly #fd: number;
  readonly #handle: DescriptorHandle | null;
  #busy: boolean = false;
  #retry: NodeJS.Timeout | null = null;
  #onIdle: (() => void) | null = null;
  #closed: boolean = false;

  constructor(fd: number) {
    this.#fd = fd;
    this.#handle = openAsTcp(fd);
  }

  run(operation: Operation, done: Done): void {
    this.#busy = true;
    operation(this.#fd, (error, bytes) => {
      this.#busy = false;
      if (this.#closed) this.#release();
      else if (error?.code === 'EAGAIN')
        this.#retry = hostSetTimeout(() => this.run(operation, done), RETRY).unref();
      else done(error, bytes);
    });
  }

  /** Calls back when the descriptor is closed, or when its thread has taken too long. */
  close(onClose: () => void): void {
    this.#closed = true;
    if (this.#retry !== null) hostClearTimeout(this.#retry);
    this.#onIdle = onClose;
    if (this.#busy) hostSetTimeout(() => this.#tell(), PATIENCE).unref();
    else this.#release();
  }

  #release(): void {
    if (this.#handle !== null) this.#handle.close();
    else if (this.#fd > LAST_STDIO) node.fs.closeSync(this.#fd);
    this.#tell();
  }

  #tell(): void {
    const onIdle = this.#onIdle;
    this.#onIdle = null;
    onIdle?.();
  }
}

function deviceReader(fd: number): Readable {
  const device = new Device(fd);
  return new node.stream.Readable({
    read() {
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      device.run(
        (fd, done) => node.fs.read(fd, buffer, 0, buffer.length, null, done),
        (error, bytes) => {
          if (error !== null) this.destroy(error);
          else this.push(bytes === 0 ? null : keepable(buffer.subarray(0, bytes)));
        },
      );
    },
    destroy: (error, callback) => device.close(() => callback(error)),
  });
}

function deviceWriter(fd: number): Writable {
  const device = new Device(fd);
  function write(chunk: Buffer, callback: (error?: Error | null) => void): void {
    device.run(
      (fd, done) => node.fs.write(fd, chunk, 0, chunk.length, null, done),
      (error, bytes) => {
        if (error !== null || bytes === chunk.length) callback(error);
        else write(chunk.subarray(bytes), callback);
      },
    );
  }
  return new node.stream.Writable({
    write: (chunk: Buffer, _encoding, callback) => write(chunk, callback),
    destroy: (error, callback) => device.close(() => callback(error)),
  });
}

export function openDevice(fd: number, direction: 'read' | 'write'): Readable | Writable {
  return direction === 'read' ? deviceReader(fd) : deviceWriter(fd);
}
