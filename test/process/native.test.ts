/** Behaviour of children that only the native backend has. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noNative, onUv } from '../helpers/descriptors.ts';
import { tsArguments, tsWorker } from '../helpers/typescript.ts';
import { noPython } from '../helpers/unix-pairs.ts';
import { ChildRecorder, runShell, startShell, stdinOf } from './children.ts';

const MEBIBYTE = 1024 * 1024;

test(
  'a child of the native backend can open /dev/stdin, /dev/stdout and /dev/stderr, because all of them are pipes',
  { skip: noNative },
  onUv(async (loop) => {
    const recorder = await startShell(loop, 'cat /dev/stdin | tee /dev/stderr > /dev/stdout');
    stdinOf(recorder).write('through');
    stdinOf(recorder).writeEof();
    await recorder.untilTold('lost');
    assert.deepEqual(
      [recorder.text(1), recorder.text(2), recorder.transport.getReturncode()],
      ['through', 'through', 0],
    );
  }),
);

test(
  'the native backend enlarges a child’s pipe once it was full, and not before',
  { skip: noNative || noPython },
  onUv(async (loop) => {
    const program = `
import fcntl, os, sys, time
F_GETPIPE_SZ = 1032
room = lambda: [fcntl.fcntl(fd, F_GETPIPE_SZ) for fd in (0, 1)]
first = room()
sys.stderr.write('ready\\n'); sys.stderr.flush()
while fcntl.fcntl(0, F_GETPIPE_SZ) == first[0]: time.sleep(0.001)
os.write(1, bytes(${4 * MEBIBYTE}))
while fcntl.fcntl(1, F_GETPIPE_SZ) == first[1]: os.write(1, bytes(${MEBIBYTE}))
sys.stderr.write(str([first, room()]))
`;
    const [, recorder] = await loop.subprocessExec(() => new ChildRecorder(), 'python3', ['-c', program]);
    await recorder.untilTold('data 2');
    stdinOf(recorder).write(Buffer.alloc(MEBIBYTE));
    await recorder.untilTold('lost');
    const [first, then] = [64 * 1024, 256 * 1024];
    assert.equal(recorder.text(2), `ready\n[[${first}, ${first}], [${then}, ${then}]]`);
  }),
);

test(
  'a child of the native backend gets the variables that the program has set, and not those that it has deleted',
  { skip: noNative },
  onUv(async (loop) => {
    const before = process.env.HOME;
    process.env.GYRE_TEST_SET = 'ä';
    process.env.GYRE_TEST_DELETED = 'no';
    delete process.env.GYRE_TEST_DELETED;
    process.env.HOME = '/changed';
    try {
      const recorder = await runShell(loop, 'echo "$HOME $GYRE_TEST_SET"; printenv GYRE_TEST_DELETED');
      assert.equal(recorder.text(1), '/changed ä\n');
    } finally {
      delete process.env.GYRE_TEST_SET;
      if (before === undefined) delete process.env.HOME;
      else process.env.HOME = before;
    }
  }),
);

test(
  'a child of the native backend gets the variables of the object by which a program has replaced process.env',
  { skip: noNative },
  onUv(async (loop) => {
    const before = process.env;
    before.GYRE_TEST_REPLACED = 'no';
    const get = (target: NodeJS.ProcessEnv, name: string): string | undefined =>
      name === 'GYRE_TEST_REPLACED' ? 'yes' : target[name];
    for (const replacement of [{ ...before, GYRE_TEST_REPLACED: 'yes' }, new Proxy(before, { get })]) {
      process.env = replacement;
      try {
        assert.equal((await runShell(loop, 'echo "$GYRE_TEST_REPLACED"')).text(1), 'yes\n');
      } finally {
        process.env = before;
      }
    }
    delete before.GYRE_TEST_REPLACED;
  }),
);

test('a child of a worker of the native backend gets the variables of the worker, not those of the process', {
  skip: noNative,
}, async () => {
  process.env.GYRE_TEST_PROCESS = 'here';
  const worker = tsWorker(new URL('./environment.worker.child.ts', import.meta.url));
  const [printed] = await once(worker, 'message');
  delete process.env.GYRE_TEST_PROCESS;
  assert.equal(printed, 'yes\nnone\n');
  await worker.terminate();
});

test('environment variables that are not UTF-8 reach a child of the native backend unchanged', {
  skip: noNative,
}, async () => {
  const program = fileURLToPath(new URL('./environment.child.ts', import.meta.url));
  // A single byte, a truncated sequence, an overlong one, a surrogate, and a bad byte among good ones.
  const values = ['\xff', 'a\xc3', '\xc0\x80b', '\xed\xa0\x80', '\xc3\xa4\xff\xe2\x82\xac'];
  const octal = (text: string): string =>
    Array.from(Buffer.from(text, 'latin1'), (byte) => `\\${byte.toString(8)}`).join('');
  const set = values.map((value, i) => `"RAW_${i}=$(printf '${octal(value)}')"`);
  const command = `env ${set.join(' ')} "${[process.execPath, ...tsArguments(program)].join('" "')}"`;
  const running = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  running.stdout.on('data', (data) => chunks.push(data));
  const [code] = await once(running, 'close');
  const before = values.map((value, i) => `RAW_${i}=${value}`);
  const after = ['RAW_0=set', ...before.slice(1), 'RAW_new=\xc3\xa4'];
  assert.equal(Buffer.concat(chunks).toString('latin1'), [...before, ...after, ''].join('\n'));
  assert.equal(code, 0);
});
