import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Linked } from '../../src/base/linked-list.ts';
import { LinkedList } from '../../src/base/linked-list.ts';

class Member implements Linked {
  _previous: Linked | null = null;
  _next: Linked | null = null;
}

test('LinkedList keeps its members as a Set does, and a removed member refers to no other', () => {
  const step = fc.record({
    what: fc.constantFrom('add', 'delete', 'clear'),
    which: fc.integer({ min: 0, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const members = Array.from({ length: 10 }, () => new Member());
      const list = new LinkedList<Member>();
      const model = new Set<Member>();
      for (const { what, which } of steps) {
        const member = members[which] as Member;
        if (what === 'add') {
          list.add(member);
          model.add(member);
        } else if (what === 'delete') {
          assert.equal(list.delete(member), model.delete(member));
        } else if (which === 0) {
          list.clear();
          model.clear();
        }
        assert.equal(list.size, model.size);
        assert.ok([...list].every((one, i) => one === [...model][i]));
        for (const one of members) {
          assert.equal(list.has(one), model.has(one));
          if (!model.has(one)) assert.deepEqual([one._previous, one._next], [null, null]);
        }
      }
    }),
  );
});

test('LinkedList allows adding and removing members during iteration', () => {
  const list = new LinkedList<Member>();
  const members = Array.from({ length: 5 }, () => new Member());
  for (const member of members) list.add(member);
  const walked: Member[] = [];
  for (const member of list) {
    walked.push(member);
    list.clear();
    list.add(new Member());
  }
  assert.deepEqual(walked.length, 5);
  assert.equal(list.size, 1);
});
