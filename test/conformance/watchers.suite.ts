import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { passes } from '../helpers/descriptors.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function watchersSuite(target: Target): void {
  section(
    'Watching descriptors',
    target,
    (test) => {
      test('add_reader() calls the callback with its arguments and in its context while there is data to read', async ({
        loop,
        machine,
      }) => {
        const storage = new AsyncLocalStorage<string>();
        const { descriptors } = machine;
        const { read: from, write: to } = descriptors.pipe();
        const log: unknown[] = [];
        await loop.runUntilComplete(async () => {
          const callback = (...args: unknown[]): void => {
            log.push([descriptors.read(from), args, storage.getStore()]);
          };
          storage.run('context', () => loop.addReader(from, callback, 1, 'two'));
          for (const data of ['a', 'b']) {
            descriptors.write(to, data);
            await passes();
          }
          loop.removeReader(from);
        });
        assert.deepEqual(log, [
          ['a', [1, 'two'], 'context'],
          ['b', [1, 'two'], 'context'],
        ]);
        for (const fd of [from, to]) descriptors.close(fd);
      });

      test('add_reader() replaces the previous callback, and rejects values that are no descriptor', async ({
        loop,
        machine,
      }) => {
        const { descriptors } = machine;
        const { read: from, write: to } = descriptors.pipe();
        const log: string[] = [];
        await loop.runUntilComplete(async () => {
          loop.addReader(from, () => log.push('first'));
          loop.addReader(from, () => log.push(`second ${descriptors.read(from)}`));
          descriptors.write(to, 'x');
          await passes();
          loop.removeReader(from);
        });
        assert.deepEqual(log, ['second x']);
        assert.throws(() => loop.addReader(1_000_000, () => {}), { code: 'EBADF' });
        assert.throws(() => loop.addReader(-1, () => {}), { code: 'ERR_OUT_OF_RANGE' });
        for (const fd of [from, to]) descriptors.close(fd);
      });

      test('remove_reader() keeps the callback from being called, and returns whether there was one', async ({
        loop,
        machine,
      }) => {
        const { descriptors } = machine;
        const { read: from, write: to } = descriptors.pipe();
        let calls = 0;
        await loop.runUntilComplete(async () => {
          loop.addReader(from, () => calls++);
          descriptors.write(to, 'x');
          assert.deepEqual([loop.removeReader(from), loop.removeReader(from)], [true, false]);
          await passes();
        });
        assert.equal(calls, 0);
        for (const fd of [from, to]) descriptors.close(fd);
      });

      test('add_writer() calls the callback while the descriptor is writable, until remove_writer()', async ({
        loop,
        machine,
      }) => {
        const { descriptors } = machine;
        const [from, to] = descriptors.socketPair();
        const log: string[] = [];
        await loop.runUntilComplete(async () => {
          loop.addReader(from, () => log.push(`read ${descriptors.read(from)}`));
          loop.addWriter(from, () => {
            log.push('writable');
            assert.equal(loop.removeWriter(from), true);
          });
          await passes();
          descriptors.write(to, 'x');
          await passes();
          assert.equal(loop.removeWriter(from), false);
          assert.equal(loop.removeReader(from), true);
        });
        assert.deepEqual(log, ['writable', 'read x']);
        for (const fd of [from, to]) descriptors.close(fd);
      });
    },
    'polling',
  );
}
