import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SocketAddress } from '../../../src/base/address.ts';
import { AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM } from '../../../src/base/constants.ts';
import type { BaseEventLoop, ConnectionOptions, Future, TimerHandle, Transport } from '../../../src/index.ts';
import { Protocol } from '../../../src/index.ts';
import { interleaveFamilies, summary } from '../../../src/net/names/happy-eyeballs.ts';
import type { FakeAttempt, FakeNet, FakeStream } from '../fake-net.ts';
import { fakeNet } from '../fake-net.ts';

// The race runs by the virtual clock over a fake network, so times are exact.

interface Race {
  loop: BaseEventLoop;
  net: FakeNet;
  streams: FakeStream[];
  /** The plans of the network, by host. */
  timers: TimerHandle[];
  connect: (host: string, options?: ConnectionOptions) => Future<[Transport, Protocol]>;
}

/** Runs `body` as a task, and checks that the loop owns nothing and no timer of the race is left. */
function racing(body: (race: Race) => Promise<void>): () => Promise<void> {
  return async () => {
    const { loop, net, close } = fakeNet();
    const streams: FakeStream[] = [];
    const timers: TimerHandle[] = [];
    net.names = {
      two: ['2001:db8::1', '192.0.2.1'],
      three: ['2001:db8::1', '192.0.2.1', '2001:db8::2'],
      v4: ['192.0.2.1', '192.0.2.2'],
    };
    const connect: Race['connect'] = (host, options) =>
      loop.createConnection(() => new Protocol(), host, 80, options);
    await loop.runUntilComplete(() => body({ loop, net, streams, timers, connect }));
    for (const timer of timers) timer.cancel();
    for (const stream of streams) stream.events?.onClose(null);
    await loop.runUntilComplete(async () => {});
    assert.equal(loop._scheduler.timers.nextWhen(), Number.POSITIVE_INFINITY, 'a timer is left');
    close();
  };
}

/**
 * Creates a network in which each host does what the plan says, a number of seconds after the attempt began.
 */
function plan(
  { loop, net, streams, timers }: Race,
  hosts: Record<string, [afterSeconds: number, what: string]>,
): void {
  net.onAttempt = (attempt) => {
    const [seconds, what] = hosts[attempt.host] ?? [0, 'blackhole'];
    if (what === 'blackhole') return;
    const decide = (): void => {
      if (attempt.cancelled) return;
      if (what === 'connect') streams.push(attempt.connect());
      else attempt.fail(what);
    };
    timers.push(loop.callLater(seconds, decide));
  };
}

const begun = (attempts: FakeAttempt[]): [string, number][] => attempts.map(({ host, at }) => [host, at]);

test(
  'createConnection() tries the next address after 0.25 s, and the first to answer wins',
  racing(async (race) => {
    plan(race, { '192.0.2.1': [0.01, 'connect'] });
    await race.connect('two');
    assert.deepEqual(begun(race.net.attempts), [
      ['2001:db8::1', 0],
      ['192.0.2.1', 0.25],
    ]);
    assert.equal(race.loop.time(), 0.26);
    assert.equal(race.net.attempts[0]?.cancelled, true);
  }),
);

test(
  'createConnection() keeps a slow attempt when the next one starts, and it may still win',
  racing(async (race) => {
    plan(race, { '2001:db8::1': [0.3, 'connect'], '192.0.2.1': [0.2, 'connect'] });
    const [transport] = await race.connect('two');
    assert.deepEqual(race.net.log, [
      'connect 2001:db8::1',
      'connect 192.0.2.1',
      'connected 2001:db8::1',
      'cancel 192.0.2.1',
    ]);
    assert.equal(race.loop.time(), 0.3);
    assert.equal(transport.isClosing(), false);
  }),
);

test(
  'createConnection() closes one of two streams that connect at the same moment',
  racing(async (race) => {
    const { loop, net, streams } = race;
    loop.callLater(0.26, () => {
      for (const attempt of net.attempts) streams.push(attempt.connect());
    });
    const [transport] = await race.connect('two');
    const [winner, loser] = streams as [FakeStream, FakeStream];
    assert.equal(loop.time(), 0.26);
    assert.deepEqual(loser.calls, ['abort']);
    assert.deepEqual(winner.calls, ['readStart']);
    transport.write('to the winner');
    streams.pop();
  }),
);

test(
  'createConnection() tries the next address at once after a failure, and the delay counts from there',
  racing(async (race) => {
    plan(race, { '2001:db8::1': [0.1, 'ENETUNREACH'], '2001:db8::2': [0, 'connect'] });
    await race.connect('three');
    assert.deepEqual(begun(race.net.attempts), [
      ['2001:db8::1', 0],
      ['192.0.2.1', 0.1],
      ['2001:db8::2', 0.35],
    ]);
  }),
);

test(
  'createConnection() keeps happyEyeballsDelay exactly',
  racing(async (race) => {
    plan(race, { '2001:db8::2': [0, 'connect'] });
    await race.connect('three', { happyEyeballsDelay: 0.125 });
    assert.deepEqual(
      race.net.attempts.map(({ at }) => at),
      [0, 0.125, 0.25],
    );
  }),
);

test(
  'createConnection() with happyEyeballsDelay null tries one address after the other',
  racing(async (race) => {
    plan(race, {
      '2001:db8::1': [100, 'ETIMEDOUT'],
      '192.0.2.1': [50, 'ECONNREFUSED'],
      '2001:db8::2': [3600, 'connect'],
    });
    await race.connect('three', { happyEyeballsDelay: null });
    assert.deepEqual(
      race.net.attempts.map(({ at }) => at),
      [0, 100, 150],
    );
    assert.equal(race.loop.time(), 3750);
  }),
);

test(
  'createConnection() with happyEyeballsDelay 0 starts all addresses in the next turns',
  racing(async (race) => {
    plan(race, { '2001:db8::2': [1, 'connect'] });
    await race.connect('three', { happyEyeballsDelay: 0 });
    assert.deepEqual(
      race.net.attempts.map(({ at }) => at),
      [0, 0, 0],
    );
  }),
);

test(
  'createConnection() throws a single error if all addresses fail alike',
  racing(async (race) => {
    plan(race, { '2001:db8::1': [0, 'ECONNREFUSED'], '192.0.2.1': [0, 'ECONNREFUSED'] });
    await assert.rejects(race.connect('two'), {
      name: 'Error',
      code: 'ECONNREFUSED',
      address: '2001:db8::1',
    });
  }),
);

test(
  'all fail differently: an AggregateError with the code of the first and each attempt in order',
  racing(async (race) => {
    // The first one fails last.
    plan(race, { '2001:db8::1': [5, 'ETIMEDOUT'], '192.0.2.1': [0, 'ECONNREFUSED'] });
    await assert.rejects(race.connect('two'), (error: AggregateError & { code: string }) => {
      assert.ok(error instanceof AggregateError);
      assert.equal(error.code, 'ETIMEDOUT');
      assert.deepEqual(
        error.errors.map(({ code }) => code),
        ['ETIMEDOUT', 'ECONNREFUSED'],
      );
      assert.match(error.message, /ETIMEDOUT 2001:db8::1; .*ECONNREFUSED 192\.0\.2\.1/);
      return true;
    });
    assert.equal(race.loop.time(), 5);
  }),
);

test(
  'cancelling in the middle of the race closes every attempt, and begins no other',
  racing(async (race) => {
    const connecting = race.connect('three');
    race.loop.callLater(0.3, () => connecting.cancel());
    await assert.rejects(connecting, { code: 'ERR_CANCELLED' });
    assert.deepEqual(race.net.log, [
      'connect 2001:db8::1',
      'connect 192.0.2.1',
      'cancel 2001:db8::1',
      'cancel 192.0.2.1',
    ]);
    assert.equal(race.loop.time(), 0.3);
  }),
);

test(
  'createConnection() that is cancelled at the moment of success aborts the stream',
  racing(async (race) => {
    const { loop, net, streams } = race;
    const connecting = race.connect('two');
    loop.callLater(0.1, () => {
      streams.push((net.attempts[0] as FakeAttempt).connect());
      connecting.cancel();
    });
    await assert.rejects(connecting, { code: 'ERR_CANCELLED' });
    assert.deepEqual(streams.pop()?.calls, ['abort']);
  }),
);

test(
  'createConnection() is cancelled by its signal in the middle of the race, with the reason as cause',
  racing(async (race) => {
    const controller = new AbortController();
    const connecting = race.connect('two', { signal: controller.signal });
    race.loop.callLater(0.3, () => controller.abort('enough'));
    await assert.rejects(connecting, { code: 'ERR_CANCELLED', cause: 'enough' });
    assert.equal(race.net.attempts.length, 2);
    assert.ok(race.net.attempts.every(({ cancelled }) => cancelled));
  }),
);

test(
  'createConnection() alternates families, and interleave is the number of first-family addresses at the start',
  racing(async (race) => {
    race.net.names = { many: ['2001:db8::1', '2001:db8::2', '2001:db8::3', '192.0.2.1', '192.0.2.2'] };
    const order = async (options: ConnectionOptions): Promise<string[]> => {
      race.net.attempts.length = 0;
      plan(race, {
        '192.0.2.2': [0, 'ECONNREFUSED'],
        '192.0.2.1': [0, 'ECONNREFUSED'],
        '2001:db8::1': [0, 'ECONNREFUSED'],
        '2001:db8::2': [0, 'ECONNREFUSED'],
        '2001:db8::3': [0, 'ECONNREFUSED'],
      });
      await assert.rejects(race.connect('many', options), { code: 'ECONNREFUSED' });
      return race.net.attempts.map(({ host }) => host.slice(-3));
    };
    assert.deepEqual(await order({}), ['::1', '2.1', '::2', '2.2', '::3']);
    assert.deepEqual(await order({ interleave: 2 }), ['::1', '::2', '2.1', '::3', '2.2']);
    assert.deepEqual(await order({ interleave: 9 }), ['::1', '::2', '::3', '2.1', '2.2']);
    assert.deepEqual(await order({ interleave: 0 }), ['::1', '::2', '::3', '2.1', '2.2']);
  }),
);

test(
  'createConnection() with localAddr gives each address a local one of its family, and skips addresses without one',
  racing(async (race) => {
    race.net.names = { ...race.net.names, here: ['192.0.2.9'] };
    plan(race, { '192.0.2.1': [0, 'connect'] });
    await race.connect('three', { localAddr: ['here', 0] });
    assert.deepEqual(
      race.net.attempts.map(({ host, local }) => [host, local]),
      [['192.0.2.1', '192.0.2.9']],
    );
    race.net.names = { here: ['2001:db8::9'], v4: ['192.0.2.1'] };
    await assert.rejects(race.connect('v4', { localAddr: ['here', 0] }), {
      code: 'ERR_OUT_OF_RANGE',
      message: /options\.localAddr/,
    });
  }),
);

test(
  'family and proto reach the resolver, and a name of one address is one attempt without a timer',
  racing(async (race) => {
    race.net.names = { one: ['192.0.2.1'] };
    plan(race, { '192.0.2.1': [0, 'connect'] });
    await race.connect('one', { family: AF_INET, proto: IPPROTO_TCP, flags: 0x20 });
    const type = { type: SOCK_STREAM, proto: IPPROTO_TCP };
    assert.deepEqual(race.net.queries, [{ host: 'one', port: 0, family: AF_INET, ...type, flags: 0x20 }]);
    assert.equal(race.net.attempts.length, 1);
  }),
);

test('interleaveFamilies() loses no address, keeps the order within each family and alternates', () => {
  const address = fc.oneof(
    fc.nat({ max: 999 }).map((n): SocketAddress => [`192.0.2.${n}`, 80]),
    fc.nat({ max: 999 }).map((n): SocketAddress => [`2001:db8::${n}`, 80, 0, 0]),
  );
  const family = (one: SocketAddress): number => (one.length === 4 ? AF_INET6 : AF_INET);
  fc.assert(
    fc.property(
      fc.array(address, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      (given, n) => {
        const result = interleaveFamilies([...given], n);
        for (const af of [AF_INET, AF_INET6]) {
          assert.deepEqual(
            result.filter((one) => family(one) === af),
            given.filter((one) => family(one) === af),
          );
        }
        const families = result.map(family);
        const first = family(given[0] as SocketAddress);
        const ofFirst = given.filter((one) => family(one) === first).length;
        const others = given.length - ofFirst;
        // As many of the first family as requested, and then alternately, while both have some.
        const head = Math.min(n, ofFirst);
        const turns = Math.min(ofFirst - head, others);
        const expected = [
          ...Array<number>(head).fill(first),
          ...Array.from({ length: turns * 2 }, (_, i) => (i % 2 === 0 ? AF_INET + AF_INET6 - first : first)),
        ];
        assert.deepEqual(families.slice(0, expected.length), expected);
      },
    ),
  );
});

test('summary() returns one error for errors of one kind, for any addresses', () => {
  const error = (code: string, address: string, syscall: string = 'connect'): Error =>
    Object.assign(new Error(`${syscall} ${code} ${address}`), { code, syscall });
  const first = error('ECONNREFUSED', '::1');
  assert.equal(summary([first]), first);
  assert.equal(summary([first, error('ECONNREFUSED', '127.0.0.1')]), first);
  assert.ok(summary([first, error('ETIMEDOUT', '127.0.0.1')]) instanceof AggregateError);
  assert.ok(summary([first, error('ECONNREFUSED', '127.0.0.1', 'bind')]) instanceof AggregateError);
});
