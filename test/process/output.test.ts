import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { SubprocessProtocol, SubprocessTransport } from '../../src/index.ts';
import {
  createSubprocessExec,
  createSubprocessShell,
  DEVNULL,
  gather,
  PIPE,
  STDOUT,
  sleep,
} from '../../src/index.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { tooFewDescriptors } from '../helpers/machine.ts';
import { onNode } from '../helpers/pairs.ts';
import {
  ChildRecorder,
  childrenOfOurs,
  leavingNothing,
  runShell,
  skipNotLinux,
  startShell,
  stateOf,
} from './children.ts';

const MEBIBYTE = 1024 * 1024;

/** Blocks the thread for some milliseconds. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test(
  'all output of a fast child arrives, although the loop was busy',
  onNode(async (loop) => {
    for (const stderr of [PIPE, STDOUT]) {
      for (let i = 0; i < 20; i++) {
        const starting = startShell(loop, 'echo out; echo err >&2', { stderr });
        block(5);
        const recorder = await starting;
        block(5);
        await recorder.untilTold('lost');
        const expected = stderr === PIPE ? ['out\n', 'err\n'] : ['out\nerr\n', ''];
        assert.deepEqual([recorder.text(1), recorder.text(2)], expected);
      }
    }
  }),
);

test(
  'a paused pipe stays paused when the child exits, and loses nothing',
  onNode(async (loop) => {
    for (const stderr of [PIPE, STDOUT]) {
      const recorder = new ChildRecorder();
      const made = recorder.connectionMade;
      recorder.connectionMade = (transport) => {
        made.call(recorder, transport);
        transport.getPipeTransport(1)?.pauseReading();
        transport.getPipeTransport(2)?.pauseReading();
      };
      // As much as fits into one pipe without a reader.
      const command = 'head -c 30000 /dev/zero; head -c 30000 /dev/zero >&2';
      const [transport] = await loop.subprocessShell(() => recorder, command, { stderr });
      await recorder.untilTold('exited');
      await hostPasses(50);
      await sleep(0.02);
      assert.deepEqual(
        recorder.log.filter((word) => /data|lost [12]|lost$/.test(word)),
        [],
      );
      transport.getPipeTransport(2)?.resumeReading();
      if (stderr === PIPE) {
        await recorder.untilTold('lost 2');
        assert.equal(recorder.bytes(1), 0);
      }
      transport.getPipeTransport(1)?.resumeReading();
      await recorder.untilTold('lost');
      assert.equal(recorder.bytes(1) + recorder.bytes(2), 60_000);
    }
  }),
);

test(
  'a child that exits at once delivers a mebibyte by each pipe, 50 times, with pauses of reading',
  onNode(async (loop) => {
    for (let i = 0; i < 50; i++) {
      const recorder = new ChildRecorder();
      let paused = 0;
      const received = recorder.pipeDataReceived;
      recorder.pipeDataReceived = (fd, data) => {
        received.call(recorder, fd, data);
        const pipe = recorder.transport.getPipeTransport(fd);
        if (++paused % 5 !== 0) return;
        pipe?.pauseReading();
        loop.callLater(0.0005, () => pipe?.resumeReading());
      };
      const command = `head -c ${MEBIBYTE} /dev/zero & head -c ${MEBIBYTE} /dev/zero >&2; wait`;
      await loop.subprocessShell(() => recorder, command, { stdin: DEVNULL });
      await recorder.untilTold('lost');
      assert.deepEqual([recorder.bytes(1), recorder.bytes(2)], [MEBIBYTE, MEBIBYTE]);
      assert.ok(paused >= 5);
    }
  }),
);

test(
  'a paused pipe stops its own child, and no other',
  onNode(async (loop) => {
    const recorder = await startShell(loop, `head -c ${4 * MEBIBYTE} /dev/zero; echo done >&2`);
    recorder.transport.getPipeTransport(1)?.pauseReading();
    assert.equal((await runShell(loop, 'echo other')).text(1), 'other\n');
    await sleep(0.05);
    assert.equal(recorder.log.includes('data 2'), false);
    recorder.transport.getPipeTransport(1)?.resumeReading();
    await recorder.untilTold('lost');
    assert.deepEqual([recorder.bytes(1), recorder.text(2)], [4 * MEBIBYTE, 'done\n']);
  }),
);

// GYRE_LONG=1 makes it a gibibyte.
const BULK_MEBIBYTES = process.env.GYRE_LONG === '1' ? 1024 : 256;

test(
  `${BULK_MEBIBYTES} MiB through cat with back-pressure in both directions lose nothing and buffer little`,
  onNode(async (loop) => {
    await using cat = await createSubprocessExec('cat', [], { stdin: PIPE, stdout: PIPE });
    const { stdin, stdout } = cat;
    const piece = randomBytes(MEBIBYTE);
    const sent = createHash('sha1');
    const received = createHash('sha1');
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    let most = 0;
    let buffered = 0;
    const writing = loop.createTask(async () => {
      for (let i = 0; i < BULK_MEBIBYTES; i++) {
        piece.writeUInt32LE(i);
        sent.update(piece);
        stdin?.write(Buffer.from(piece));
        await stdin?.drain();
        buffered = Math.max(buffered, stdin?.transport.getWriteBufferSize() ?? 0);
      }
      stdin?.close();
    });
    let bytes = 0;
    for await (const chunk of stdout ?? []) {
      bytes += chunk.length;
      received.update(chunk);
      most = Math.max(most, process.memoryUsage.rss());
    }
    await writing;
    assert.equal(bytes, BULK_MEBIBYTES * MEBIBYTE);
    assert.equal(received.digest('hex'), sent.digest('hex'));
    assert.ok(buffered <= 64 * 1024, `${buffered} bytes were buffered after a drain()`);
    assert.ok(most - before < 150 * MEBIBYTE, `it took ${(most - before) / MEBIBYTE} MiB`);
    assert.equal(await cat.wait(), 0);
  }),
);

test(
  '200 children run at once and leave nothing behind',
  { skip: skipNotLinux || tooFewDescriptors(1000) },
  onNode(async () => {
    await leavingNothing(async () => {
      const children = await gather(
        ...Array.from({ length: 200 }, (_, i) =>
          createSubprocessShell(`read word; echo "$word ${i}"; exit ${i}`, { stdin: PIPE, stdout: PIPE }),
        ),
      );
      assert.equal(new Set(children.map((child) => child.pid)).size, 200);
      const outputs = await gather(...children.map((child, i) => child.communicate(`word${i}\n`)));
      assert.deepEqual(
        outputs.map(([stdout]) => String(stdout)),
        children.map((_, i) => `word${i} ${i}\n`),
      );
      assert.deepEqual(
        children.map((child) => child.returncode),
        children.map((_, i) => i),
      );
      assert.deepEqual(
        children.filter((child) => stateOf(child.pid) !== null),
        [],
      );
    });
  }),
);

test(
  'children that come and go leave no zombie',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      for (let i = 0; i < 100; i++) {
        const ended = loop.createFuture<void>();
        let transport: SubprocessTransport | null = null;
        const protocol: SubprocessProtocol = {
          connectionMade: (made) => {
            transport = made;
          },
          connectionLost: () => ended.setResult(undefined),
        };
        const options = i % 2 === 0 ? {} : { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL };
        await loop.subprocessExec(() => protocol, 'true', [], options);
        await ended;
        assert.equal(stateOf((transport as SubprocessTransport | null)?.getPid() as number), null);
      }
      assert.deepEqual(
        childrenOfOurs().filter((pid) => stateOf(pid) === 'Z'),
        [],
      );
    });
  }),
);
