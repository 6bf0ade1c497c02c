import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../../src/index.ts';
import { Recorder } from '../helpers/pairs.ts';
import { inDirectory, isOpen, pipeEnds } from '../helpers/unix-pairs.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

const makeNothing = (): object => ({});

export function pipesSuite(target: Target): void {
  section(
    'Running subprocesses: pipes',
    target,
    (test) => {
      test('connect_read_pipe() and connect_write_pipe() make the protocol, call connection_made and return the pair', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = pipeEnds();
          const reader = new Recorder();
          const writer = new Recorder();
          const [input, readProtocol] = await loop.connectReadPipe(() => reader, read);
          const [output, writeProtocol] = await loop.connectWritePipe(() => writer, write);
          assert.deepEqual([readProtocol, writeProtocol], [reader, writer]);
          assert.deepEqual([reader.transport, writer.transport], [input, output]);
          assert.deepEqual([input.getExtraInfo('pipe'), output.getExtraInfo('pipe')], [read, write]);
          output.write('hello');
          await reader.untilReceived(5);
          output.close();
          await Promise.all([reader.untilLost(), writer.untilLost()]);
          assert.deepEqual(reader.log, ['made', 'data', 'eof', 'lost']);
          assert.deepEqual(writer.log, ['made', 'lost']);
          assert.deepEqual([reader.exception, writer.exception], [null, null]);
        }));

      test('connect_read_pipe() and connect_write_pipe() own the pipe, and close it with its transport', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = pipeEnds();
          const reader = new Recorder();
          const writer = new Recorder();
          const [input] = await loop.connectReadPipe(() => reader, read);
          const [output] = await loop.connectWritePipe(() => writer, write);
          input.close();
          output.close();
          await Promise.all([reader.untilLost(), writer.untilLost()]);
          assert.deepEqual([isOpen(read), isOpen(write)], [false, false]);
        }));

      test('connect_read_pipe() returns a transport that pauses and resumes', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = pipeEnds();
          const reader = new Recorder();
          const [input] = await loop.connectReadPipe(() => reader, read);
          input.pauseReading();
          writeSync(write, 'waits');
          for (let i = 0; i < 20; i++) await sleep(0);
          assert.deepEqual([reader.log, input.isReading()], [['made'], false]);
          input.resumeReading();
          await reader.untilReceived(5);
          closeSync(write);
          await reader.untilLost();
        }));

      test('connect_write_pipe() pauses and resumes its protocol by its water marks', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = pipeEnds();
          const writer = new Recorder();
          const [output] = await loop.connectWritePipe(() => writer, write);
          output.setWriteBufferLimits({ high: 1000 });
          output.write(Buffer.alloc(1 << 20));
          await writer.untilTold('pause');
          const buffer = Buffer.alloc(1 << 16);
          for (let count = 0; count < 1 << 20; await sleep(0)) {
            try {
              count += readSync(read, buffer);
            } catch (error) {
              assert.equal((error as { code?: string }).code, 'EAGAIN');
            }
          }
          await writer.untilTold('resume');
          assert.deepEqual(writer.log, ['made', 'pause', 'resume']);
          output.close();
          await writer.untilLost();
          closeSync(read);
        }));

      test('connect_write_pipe() ends by write_eof, and reports a reader that has closed its end', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const first = pipeEnds();
          const writer = new Recorder();
          const [output] = await loop.connectWritePipe(() => writer, first.write);
          assert.equal(output.canWriteEof(), true);
          output.writeEof();
          await writer.untilLost();
          assert.equal(writer.exception, null);
          closeSync(first.read);
          const second = pipeEnds();
          const other = new Recorder();
          const [unread] = await loop.connectWritePipe(() => other, second.write);
          unread.write(Buffer.alloc(1 << 20));
          await other.untilTold('pause');
          closeSync(second.read);
          await other.untilLost();
          assert.equal((other.exception as { code?: string }).code, 'EPIPE');
        }));

      test('connect_read_pipe() and connect_write_pipe() reject a regular file', ({ loop }) =>
        loop.runUntilComplete(() =>
          inDirectory(async (directory) => {
            const path = join(directory, 'file');
            writeFileSync(path, 'x');
            const fd = openSync(path, 'r+');
            for (const method of ['connectReadPipe', 'connectWritePipe'] as const) {
              assert.throws(() => loop[method](makeNothing, fd), { name: 'TypeError', message: /"pipe"/ });
            }
            closeSync(fd);
          }),
        ));
    },
    'pipes',
  );
}
