import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { closed } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { inDirectory, noUnix } from '../helpers/unix-pairs.ts';

test(
  'createConnection() and createServer() fail with EMFILE without a free descriptor, and a server survives that',
  { skip: noUnix },
  (context) =>
    inDirectory(async (directory) => {
      const child = fileURLToPath(new URL('./descriptors.child.ts', import.meta.url));
      const command = `ulimit -n 80; exec '${process.execPath}' ${loaderOptions.join(' ')} '${child}' '${directory}'`;
      const running = spawn('sh', ['-c', command], {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const lines = createInterface(running.stdout)[Symbol.asyncIterator]();
      const line = async (): Promise<string> => String((await lines.next()).value);
      const exit = once(running, 'exit');
      // The child waits for its next step. A failed test must not wait for the child.
      context.after(() => running.kill('SIGKILL'));
      assert.deepEqual(JSON.parse(await line()), ['EMFILE', 'EMFILE', 'EMFILE', 'EMFILE']);

      // This client waits, or its connection is closed. The server must survive.
      const early = connect(join(directory, 'socket'));
      early.on('error', () => {});
      await once(early, 'connect');
      running.stdin.write('free\n');
      assert.equal(await line(), 'free');
      const late = connect(join(directory, 'socket'));
      late.write('hello');
      const [data] = (await once(late, 'data')) as [Buffer];
      assert.equal(String(data), 'hello');
      await closed(late);
      await closed(early);
      running.stdin.write('end\n');
      assert.deepEqual(JSON.parse(await line()), []);
      assert.deepEqual(await exit, [0, null]);
    }),
);
