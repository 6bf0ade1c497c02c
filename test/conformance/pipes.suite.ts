import assert from 'node:assert/strict';
import { sleep } from '../../src/index.ts';
import { Recorder } from '../helpers/pairs.ts';
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
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = machine.descriptors.pipe();
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
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = machine.descriptors.pipe();
          const reader = new Recorder();
          const writer = new Recorder();
          const [input] = await loop.connectReadPipe(() => reader, read);
          const [output] = await loop.connectWritePipe(() => writer, write);
          input.close();
          output.close();
          await Promise.all([reader.untilLost(), writer.untilLost()]);
          assert.deepEqual(
            [machine.descriptors.isOpen(read), machine.descriptors.isOpen(write)],
            [false, false],
          );
        }));

      test('connect_read_pipe() returns a transport that pauses and resumes', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = machine.descriptors.pipe();
          const reader = new Recorder();
          const [input] = await loop.connectReadPipe(() => reader, read);
          input.pauseReading();
          machine.descriptors.write(write, 'waits');
          for (let i = 0; i < 20; i++) await sleep(0.001);
          assert.deepEqual([reader.log, input.isReading()], [['made'], false]);
          input.resumeReading();
          await reader.untilReceived(5);
          machine.descriptors.close(write);
          await reader.untilLost();
        }));

      test('connect_write_pipe() pauses and resumes its protocol by its water marks', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const { read, write } = machine.descriptors.pipe();
          const writer = new Recorder();
          const [output] = await loop.connectWritePipe(() => writer, write);
          output.setWriteBufferLimits({ high: 1000 });
          output.write(Buffer.alloc(1 << 20));
          await writer.untilTold('pause');
          for (let count = 0; count < 1 << 20; await sleep(0.001)) {
            count += machine.descriptors.read(read)?.length ?? 0;
          }
          await writer.untilTold('resume');
          assert.deepEqual(writer.log, ['made', 'pause', 'resume']);
          output.close();
          await writer.untilLost();
          machine.descriptors.close(read);
        }));

      test('connect_write_pipe() ends by write_eof, and reports a reader that has closed its end', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const first = machine.descriptors.pipe();
          const writer = new Recorder();
          const [output] = await loop.connectWritePipe(() => writer, first.write);
          assert.equal(output.canWriteEof(), true);
          output.writeEof();
          await writer.untilLost();
          assert.equal(writer.exception, null);
          machine.descriptors.close(first.read);
          const second = machine.descriptors.pipe();
          const other = new Recorder();
          const [unread] = await loop.connectWritePipe(() => other, second.write);
          unread.write(Buffer.alloc(1 << 20));
          await other.untilTold('pause');
          machine.descriptors.close(second.read);
          await other.untilLost();
          assert.equal((other.exception as { code?: string }).code, 'EPIPE');
        }));

      test('connect_read_pipe() and connect_write_pipe() reject a regular file', ({ loop, machine }) =>
        loop.runUntilComplete(() =>
          machine.files.inDirectory(async (directory) => {
            const path = `${directory}/file`;
            machine.files.write(path, 'x');
            const fd = machine.descriptors.openFile(path);
            for (const method of ['connectReadPipe', 'connectWritePipe'] as const) {
              assert.throws(() => loop[method](makeNothing, fd), { name: 'TypeError', message: /"pipe"/ });
            }
            machine.descriptors.close(fd);
          }),
        ));
    },
    'pipes',
  );
}
