import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryFiles } from '../../../src/backend/sim/machine/files.ts';

test('a file of a simulated host keeps a copy of what was written', () => {
  const files = new MemoryFiles();
  const data = Buffer.from('data');
  files.writeFileSync('/tmp/file', data);
  data.fill(0);
  assert.equal(files.readFileSync('/tmp/file', 'utf8'), 'data');
  files.readFileSync('/tmp/file').fill(0);
  files.appendFileSync('/tmp/file', '+ more');
  assert.equal(files.readFileSync('../tmp/./file', 'utf8'), 'data+ more');
  files.truncateSync('/tmp/file', 4);
  assert.deepEqual([files.readFileSync('/tmp/file', 'utf8'), files.statSync('/tmp/file').size], ['data', 4]);
  files.truncateSync('/tmp/file', 6);
  assert.equal(files.readFileSync('/tmp/file', 'latin1'), 'data\0\0');
});

test('an open file is read at any position, up to its end', () => {
  const files = new MemoryFiles();
  files.writeFileSync('/file', '0123456789');
  const fd = files.openSync('/file', 'r');
  const buffer = Buffer.alloc(6, '.');
  assert.deepEqual([files.readSync(fd, buffer, 1, 3, 4), buffer.toString()], [3, '.456..']);
  assert.equal(files.readSync(fd, buffer, 0, 6, 8), 2);
  assert.equal(files.readSync(fd, buffer, 0, 6, 20), 0);
  files.closeSync(fd);
  assert.throws(() => files.readSync(fd, buffer, 0, 1, 0), { code: 'EBADF' });
  assert.throws(() => files.closeSync(fd), { code: 'EBADF' });
});

test('directories hold files, and are made and removed with them', () => {
  const files = new MemoryFiles();
  files.mkdirSync('/a/b', { recursive: true });
  files.mkdirSync('/a/b', { recursive: true });
  assert.throws(() => files.mkdirSync('/a/b'), { code: 'EEXIST', path: '/a/b' });
  assert.throws(() => files.mkdirSync('/x/y'), { code: 'ENOENT' });
  files.writeFileSync('/a/b/two', '');
  files.writeFileSync('/a/b/one', '');
  assert.deepEqual([files.readdirSync('/a/b'), files.statSync('/a').isDirectory()], [['one', 'two'], true]);
  assert.throws(() => files.rmSync('/a'), { code: 'EISDIR' });
  files.rmSync('/a', { recursive: true });
  assert.equal(files.existsSync('/a/b/one'), false);
  files.rmSync('/a', { force: true });
});

test('a missing file, a directory and a socket fail as on Linux', () => {
  const files = new MemoryFiles();
  files.writeFileSync('/file', '');
  files.makeSocket('/socket');
  const cases: [() => unknown, string][] = [
    [() => files.readFileSync('/none'), 'ENOENT'],
    [() => files.statSync('/none/at/all'), 'ENOENT'],
    [() => files.readFileSync('/file/below'), 'ENOTDIR'],
    [() => files.writeFileSync('/none/file', ''), 'ENOENT'],
    [() => files.writeFileSync('/tmp', ''), 'EISDIR'],
    [() => files.writeFileSync('/', ''), 'EISDIR'],
    [() => files.unlinkSync('/tmp'), 'EISDIR'],
    [() => files.unlinkSync('/none'), 'ENOENT'],
    [() => files.readdirSync('/file'), 'ENOTDIR'],
    [() => files.readFileSync('/socket'), 'ENXIO'],
    [() => files.makeSocket('/file'), 'EEXIST'],
  ];
  for (const [call, code] of cases) assert.throws(call, { code });
  assert.throws(() => files.openSync('/none', 'r'), {
    message: "ENOENT: no such file or directory, open '/none'",
    errno: -2,
    syscall: 'open',
  });
});
