import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Owned, OwnedTask } from '../../src/loop/ownership.ts';
import { Ownership } from '../../src/loop/ownership.ts';

test('Ownership ends each thing once and reports it, tasks first, in order of creation', () => {
  const owned = new Ownership();
  const log: string[] = [];
  const thing = (name: string): Owned => ({
    _describe: () => `${name} was still open`,
    _abandon: () => log.push(name),
  });
  owned.resources.add(thing('server'));
  owned.resources.add(thing('transport'));
  owned.tasks.add(thing('task') as OwnedTask);
  owned.unretrieved.add({ context: { message: 'lost', exception: 5 } });
  assert.deepEqual(owned.abandonAll(), [
    { message: 'the event loop was closed, but task was still open' },
    { message: 'the event loop was closed, but server was still open' },
    { message: 'the event loop was closed, but transport was still open' },
    { message: 'lost', exception: 5 },
  ]);
  assert.deepEqual(log, ['task', 'server', 'transport']);
  assert.deepEqual(owned.abandonAll(), []);
  assert.equal(log.length, 3);
});

test('Ownership copes with things that take each other along while they end', () => {
  const owned = new Ownership();
  const log: string[] = [];
  const connection: Owned = {
    _describe: () => 'connection was still open',
    _abandon: () => {
      log.push('connection');
      owned.resources.delete(connection);
    },
  };
  const server: Owned = {
    _describe: () => 'server was still open',
    _abandon: () => {
      log.push('server');
      owned.resources.delete(server);
      owned.resources.delete(connection);
    },
  };
  owned.resources.add(server);
  owned.resources.add(connection);
  assert.equal(owned.abandonAll().length, 2);
  assert.deepEqual(log, ['server', 'connection']);
  assert.equal(owned.resources.size, 0);
});
