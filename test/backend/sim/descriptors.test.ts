import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Descriptors } from '../../../src/backend/sim/machine/descriptors.ts';

function object(): { readiness: null; released: number; release(): void } {
  return {
    readiness: null,
    released: 0,
    release() {
      this.released++;
    },
  };
}

test('a new descriptor of a simulated host is the lowest free number from 3 on', () => {
  const descriptors = new Descriptors();
  const open = () => descriptors.open(object(), 'open');
  assert.deepEqual([open(), open(), open(), open()], [3, 4, 5, 6]);
  descriptors.close(5);
  descriptors.close(3);
  assert.deepEqual([open(), open(), open()], [3, 5, 7]);
  assert.equal(descriptors.size, 5);
});

test('an object is released with its last descriptor', () => {
  const descriptors = new Descriptors();
  const one = object();
  const fd = descriptors.open(one, 'open');
  const copy = descriptors.duplicate(fd);
  descriptors.close(fd);
  assert.deepEqual([one.released, descriptors.get(copy, 'read')], [0, one]);
  descriptors.close(copy);
  assert.equal(one.released, 1);
});

test('a number that is no descriptor fails with EBADF', () => {
  const descriptors = new Descriptors();
  for (const call of [
    () => descriptors.get(3, 'read'),
    () => descriptors.duplicate(3),
    () => descriptors.close(3),
  ]) {
    assert.throws(call, { code: 'EBADF' });
  }
});

test('more descriptors than the limit fail with EMFILE', () => {
  const descriptors = new Descriptors();
  descriptors.limit = 1;
  descriptors.open(object(), 'open');
  assert.throws(() => descriptors.open(object(), 'accept'), { code: 'EMFILE', syscall: 'accept' });
  assert.throws(() => descriptors.duplicate(3), { code: 'EMFILE', syscall: 'dup' });
});

test('a descriptor that a raw handle owns counts as used, and its copies do not', () => {
  const descriptors = new Descriptors();
  const fd = descriptors.open(object(), 'open', true);
  const copy = descriptors.duplicate(fd);
  assert.deepEqual(
    [descriptors.isUsed(fd), descriptors.isUsed(copy), descriptors.isUsed(99)],
    [true, false, false],
  );
  descriptors.setUsed(fd, false);
  assert.equal(descriptors.isUsed(fd), false);
});
