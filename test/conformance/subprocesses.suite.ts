import assert from 'node:assert/strict';
import { DEVNULL, STDOUT, sleep } from '../../src/index.ts';
import { ChildRecorder, runShell, startShell, stdinOf } from '../process/children.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function subprocessesSuite(target: Target): void {
  section(
    'Running subprocesses',
    target,
    (test) => {
      test('subprocess_exec() starts the program, makes the protocol without arguments, calls connection_made and returns the pair', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          let given = -1;
          const factory = (...args: unknown[]): ChildRecorder => {
            given = args.length;
            return new ChildRecorder();
          };
          const [transport, recorder] = await loop.subprocessExec(factory, 'printf', [
            '%s %s',
            'a b',
            '$HOME',
          ]);
          assert.equal(given, 0);
          assert.equal(recorder.log[0], 'made');
          assert.equal(recorder.transport, transport);
          assert.ok(transport.getPid() > 0);
          await recorder.untilTold('lost');
          assert.deepEqual([recorder.text(1), transport.getReturncode()], ['a b $HOME', 0]);
        }));

      test('subprocess_exec() gives the child pipes for stdin, stdout and stderr', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const factory = (): ChildRecorder => new ChildRecorder();
          const [transport, recorder] = await loop.subprocessExec(factory, 'sh', ['-c', 'cat; echo err >&2']);
          transport.getPipeTransport(0)?.write('through ');
          transport.getPipeTransport(0)?.write('cat');
          transport.getPipeTransport(0)?.writeEof();
          await recorder.untilTold('lost');
          assert.deepEqual([recorder.text(1), recorder.text(2)], ['through cat', 'err\n']);
        }));

      test('subprocess_exec() of a missing program fails with ENOENT, and makes no protocol', ({ loop }) =>
        loop.runUntilComplete(async () => {
          let made = 0;
          const factory = (): object => ({ made: made++ });
          await assert.rejects(loop.subprocessExec(factory, 'gyre-no-such-program'), {
            code: 'ENOENT',
            path: 'gyre-no-such-program',
          });
          assert.equal(made, 0);
        }));

      test('subprocess_exec() and subprocess_shell() reject universal_newlines, bufsize, and the other kind of shell', ({
        loop,
      }) => {
        const factory = (): object => ({});
        const code = 'ERR_OUT_OF_RANGE';
        for (const options of [{ universalNewlines: true }, { bufsize: 1 }]) {
          assert.throws(() => loop.subprocessExec(factory, 'true', [], options), { code });
          assert.throws(() => loop.subprocessShell(factory, 'true', options), { code });
        }
        assert.throws(() => loop.subprocessExec(factory, 'true', [], { shell: true }), { code });
        assert.throws(() => loop.subprocessShell(factory, 'true', { shell: false }), { code });
      });

      test('subprocess_exec() that is cancelled leaves no child behind', ({ loop }) =>
        loop.runUntilComplete(async () => {
          for (let turns = 0; turns < 8; turns++) {
            const starting = loop.subprocessExec(() => new ChildRecorder(), 'sleep', ['100']);
            for (let i = 0; i < turns; i++) await sleep(0);
            starting.cancel();
            const transport = await starting.then(
              ([made]) => made,
              () => null,
            );
            await transport?.[Symbol.asyncDispose]();
            assert.ok(transport === null || transport.getReturncode() === -9);
          }
          assert.deepEqual([loop._owned.resources.size, loop._owned.unreported.size], [0, 0]);
        }));

      test('subprocess_shell() passes the command to the shell', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const recorder = await runShell(loop, 'echo "$A" | tr a-z A-Z; exit 3', {
            env: { PATH: process.env.PATH, A: 'word' },
            cwd: '/',
          });
          assert.deepEqual([recorder.text(1), recorder.transport.getReturncode()], ['WORD\n', 3]);
        }));

      test('subprocess_shell() reports data, then the ends of pipes and process in any order, then connection_lost', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          for (const command of ['echo word; exec >&- 2>&-; sleep 0.05', 'echo word; sleep 0.05 & exit 0']) {
            const { log } = await runShell(loop, command);
            assert.deepEqual(log.slice(0, 1).concat(log.slice(-1)), ['made', 'lost']);
            assert.deepEqual([...log].sort(), [
              'data 1',
              'exited',
              'lost',
              'lost 0',
              'lost 1',
              'lost 2',
              'made',
            ]);
            assert.ok(log.indexOf('data 1') < log.indexOf('lost 1'));
          }
        }));

      test('subprocess_shell() accepts DEVNULL and STDOUT', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const recorder = await runShell(loop, 'cat; echo out; echo err >&2', {
            stdin: DEVNULL,
            stderr: STDOUT,
          });
          assert.equal(recorder.text(1), 'out\nerr\n');
          const { transport } = recorder;
          assert.deepEqual([transport.getPipeTransport(0), transport.getPipeTransport(2)], [null, null]);
        }));

      test('subprocess_shell() children end by signals with a negative return code, and later signals reach no process', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          for (const [signal, code] of [
            ['SIGTERM', -15],
            [9, -9],
          ] as const) {
            const recorder = await startShell(loop, 'exec sleep 100');
            assert.equal(recorder.transport.getReturncode(), null);
            recorder.transport.sendSignal(signal);
            await recorder.untilTold('lost');
            recorder.transport.kill();
            assert.equal(recorder.transport.getReturncode(), code);
          }
        }));

      test('subprocess_shell() pauses the writer of a slow child, and resumes it', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const recorder = await startShell(loop, 'sleep 0.05; exec cat >/dev/null');
          stdinOf(recorder).write(Buffer.alloc(4 * 1024 * 1024));
          await recorder.untilTold('pause');
          await recorder.untilTold('resume');
          stdinOf(recorder).writeEof();
          await recorder.untilTold('lost');
          assert.equal(recorder.transport.getReturncode(), 0);
        }));

      test('subprocess_shell() kills the child when its transport is closed', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const recorder = await startShell(loop, 'trap "" TERM; echo ready; exec sleep 100');
          await recorder.untilTold('data 1');
          recorder.transport.close();
          assert.equal(recorder.transport.isClosing(), true);
          await recorder.untilTold('lost');
          assert.deepEqual([recorder.transport.getReturncode(), recorder.exception], [-9, null]);
        }));
    },
    'processes',
  );
}
