import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host, LatencyOptions, SimulationReport, World } from '../../src/entry/sim.ts';
import { simulate } from '../../src/entry/sim.ts';
import { DatagramProtocol, getRunningLoop, openConnection, sleep, startServer } from '../../src/index.ts';

const PORT = 7;

type Scenario = (world: World, server: Host, client: Host) => PromiseLike<void>;

/** A world with a server that echoes TCP lines and datagrams on one port, and a client. */
function report(scenario: Scenario, seed: number = 1): Promise<SimulationReport<void>> {
  return simulate({ seed, onReport: () => {} }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    void server.run(async () => {
      const tcp = await startServer(
        async (reader, writer) => {
          for await (const line of reader.lines()) {
            writer.write(line);
            await writer.drain();
          }
          writer.close();
        },
        null,
        PORT,
      );
      await getRunningLoop().createDatagramEndpoint(() => new EchoProtocol(), {
        localAddr: ['0.0.0.0', PORT],
      });
      await tcp.serveForever();
    });
    await sleep(1);
    await scenario(world, server, client);
  });
}

async function between(scenario: Scenario, seed?: number): Promise<void> {
  await report(scenario, seed);
}

class EchoProtocol extends DatagramProtocol {
  #send: (data: Buffer, address: never) => void = () => {};

  override connectionMade(transport: { sendto(data: Buffer, address: never): void }): void {
    this.#send = (data, address) => transport.sendto(data, address);
  }

  override datagramReceived(data: Buffer, address: unknown): void {
    this.#send(data, address as never);
  }
}

/** Sends lines over one connection, one after the other, and returns the seconds of each round trip. */
function roundTrips(client: Host, server: Host, lines: number): Promise<number[]> {
  return client.run(async () => {
    const loop = getRunningLoop();
    const [reader, writer] = await openConnection(server.addresses[0] as string, PORT);
    const seconds: number[] = [];
    for (let i = 0; i < lines; i++) {
      const begin = loop.time();
      writer.write(`${i}\n`);
      assert.equal(String(await reader.readline()), `${i}\n`);
      seconds.push(loop.time() - begin);
    }
    writer.close();
    await writer.waitClosed();
    return seconds;
  });
}

/**
 * Sends numbered datagrams every `gap` seconds, and returns the numbers that came back, in order of arrival.
 */
function datagrams(client: Host, server: Host, count: number, gap: number): Promise<number[]> {
  return client.run(async () => {
    const arrived: number[] = [];
    const datagramReceived = (data: Buffer): void => {
      arrived.push(Number(String(data)));
    };
    const [transport] = await getRunningLoop().createDatagramEndpoint(() => ({ datagramReceived }), {
      remoteAddr: [server.addresses[0] as string, PORT],
    });
    for (let i = 0; i < count; i++) {
      transport.sendto(String(i));
      await sleep(gap);
    }
    await sleep(10);
    transport.close();
    await sleep(0.1);
    return arrived;
  });
}

const about = (actual: number, expected: number, tolerance: number): void =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not about ${expected}`);

test('a fixed latency delays each direction by itself', () =>
  between(async (world, server, client) => {
    // The server answers in the same step, so a round trip is exactly two ways.
    {
      using _ = world.latency(client, server, 0.05);
      for (const seconds of await roundTrips(client, server, 3)) about(seconds, 0.1, 1e-9);
    }
    {
      using _ = world.latency(client, server, { min: 0.2, max: 0.2, oneWay: true });
      for (const seconds of await roundTrips(client, server, 3)) about(seconds, 0.2005, 1e-9);
    }
    for (const seconds of await roundTrips(client, server, 3)) about(seconds, 0.001, 1e-9);
  }));

test('the newest latency that concerns a packet counts', () =>
  between(async (world, server, client) => {
    world.latency(0.05);
    using slow = world.latency('client', 1);
    about((await roundTrips(client, server, 1))[0] as number, 2, 1e-9);
    slow.end();
    assert.equal(slow.active, false);
    about((await roundTrips(client, server, 1))[0] as number, 0.1, 1e-9);
  }));

test('latencies follow their distribution, and their seed', async () => {
  const measure = async (spec: LatencyOptions, seed: number): Promise<number[]> => {
    let seconds: number[] = [];
    await between(async (world, server, client) => {
      world.latency(spec);
      seconds = await roundTrips(client, server, 300);
    }, seed);
    return seconds;
  };
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const uniform = await measure({ min: 0.01, max: 0.03 }, 1);
  assert.ok(uniform.every((seconds) => seconds >= 0.02 && seconds <= 0.06));
  assert.ok(new Set(uniform).size > 250);
  about(mean(uniform), 0.04, 0.003);
  about(mean(await measure({ mean: 0.1 }, 1)), 0.2, 0.01);
  about(mean(await measure({ mean: 0.1, distribution: 'exponential' }, 1)), 0.2, 0.03);
  about(mean(await measure({ mean: 0.1, deviation: 0.05, distribution: 'lognormal' }, 1)), 0.2, 0.02);
  assert.deepEqual(await measure({ min: 0.01, max: 0.03 }, 1), uniform);
  assert.notDeepEqual(await measure({ min: 0.01, max: 0.03 }, 2), uniform);
});

test('a random latency lets datagrams overtake each other, and no TCP segment', () =>
  between(async (world, server, client) => {
    world.latency({ min: 0.001, max: 1 });
    const arrived = await datagrams(client, server, 50, 0.01);
    assert.equal(arrived.length, 50);
    assert.notDeepEqual(
      arrived,
      [...arrived].sort((a, b) => a - b),
    );
    await client.run(async () => {
      const [reader, writer] = await openConnection(server.addresses[0] as string, PORT);
      for (let i = 0; i < 50; i++) {
        writer.write(`${i}\n`);
        await sleep(0.01);
      }
      for (let i = 0; i < 50; i++) assert.equal(String(await reader.readline()), `${i}\n`);
      writer.close();
    });
  }));

test('a bandwidth makes a transfer take its time, in each direction by itself', () =>
  between(async (world, server, client) => {
    world.bandwidth({ bytesPerSecond: 100_000, protocol: 'tcp' });
    const seconds = await client.run(async () => {
      const [reader, writer] = await openConnection(server.addresses[0] as string, PORT);
      const begin = world.time();
      writer.write(`${'x'.repeat(60_000)}\n`);
      await reader.readexactly(60_001);
      writer.close();
      return world.time() - begin;
    });
    // 60 kB at 100 kB/s and the headers. The answer overlaps, because the echo begins with the whole line
    // only.
    assert.ok(seconds > 1.2 && seconds < 1.5, String(seconds));
  }));

test('the smaller of two bandwidths on one way decides', () =>
  between(async (world, server, client) => {
    world.bandwidth({ bytesPerSecond: 100_000, protocol: 'tcp' });
    world.bandwidth(client, { bytesPerSecond: 50_000, oneWay: true });
    const seconds = await client.run(async () => {
      const [reader, writer] = await openConnection(server.addresses[0] as string, PORT);
      const begin = world.time();
      writer.write(`${'x'.repeat(50_000)}\n`);
      await reader.readline();
      writer.close();
      return world.time() - begin;
    });
    // One second to the server at 50 kB/s, half a second back, and the headers.
    assert.ok(seconds > 1.5 && seconds < 1.8, String(seconds));
  }));

test('a full queue of a narrow link drops packets', async () => {
  const { stopped } = await report(async (world, server, client) => {
    world.bandwidth({ bytesPerSecond: 1000, queueBytes: 500, oneWay: true });
    const arrived = await datagrams(client, server, 100, 0);
    assert.ok(arrived.length > 10 && arrived.length < 30, String(arrived.length));
  });
  assert.ok(stopped > 60, String(stopped));
});

test('a loss loses datagrams, and TCP repairs it', () =>
  between(async (world, server, client) => {
    using loss = world.loss(client, server, { probability: 0.3, oneWay: true });
    assert.equal(loss.description, 'client -> server: loses 30 %');
    const arrived = await datagrams(client, server, 300, 0.01);
    about(arrived.length, 210, 30);
    const seconds = await roundTrips(client, server, 100);
    assert.ok(Math.max(...seconds) > 0.2);
  }));

test('a duplication delivers datagrams twice, and TCP drops the copies', () =>
  between(async (world, server, client) => {
    world.duplication({ probability: 1, oneWay: true });
    const arrived = await datagrams(client, server, 10, 0.1);
    assert.equal(arrived.length, 40);
    assert.equal((await roundTrips(client, server, 10)).length, 10);
  }));

test('a reordering lets later packets overtake, and TCP puts them in order', () =>
  between(async (world, server, client) => {
    world.reordering({ probability: 0.3, spread: 0.1 });
    const arrived = await datagrams(client, server, 50, 0.01);
    assert.notDeepEqual(
      arrived,
      [...arrived].sort((a, b) => a - b),
    );
    assert.equal(arrived.length, 50);
    await client.run(async () => {
      const [reader, writer] = await openConnection(server.addresses[0] as string, PORT);
      const text = `${'0123456789'.repeat(100)}\n`.repeat(100);
      writer.write(text);
      assert.equal(String(await reader.readexactly(text.length)), text);
      writer.close();
    });
  }));

test('a partition loses packets both ways until it ends, and its connections go on', () =>
  between(async (world, server, client) => {
    const asked = roundTrips(client, server, 1);
    await sleep(0.0012);
    using cut = world.partition(server, client);
    await sleep(10);
    cut.end();
    const [seconds] = await asked;
    assert.ok((seconds as number) > 10 && (seconds as number) < 20, String(seconds));
  }));

test('a rule that throws, or decides nothing that there is, makes the simulation fail', async () => {
  const decisions: [() => unknown, RegExp][] = [
    [
      () => {
        throw new Error('no idea');
      },
      /rule mine failed: Error: no idea/,
    ],
    [() => 'dorp', /result of rule mine/],
    [async () => 'drop', /result of rule mine/],
    [() => ({ delay: -1 }), /result of rule mine.delay/],
    [() => ({ delay: Number.NaN }), /result of rule mine.delay/],
  ];
  for (const [decide, message] of decisions) {
    const failure = report(async (world, server, client) => {
      // The answers, because these are sent outside of every program.
      world.rule('mine', ({ source }) => (source === server.addresses[0] ? decide() : null) as null);
      await roundTrips(client, server, 1);
    });
    await assert.rejects(failure, { code: 'ERR_SIMULATION_UNHANDLED', message });
  }
});

test('a rule that is left to chance decides the same with the same seed', async () => {
  const run = async (): Promise<string> => {
    const fates: string[] = [];
    await report(async (world, server, client) => {
      world.rule('chance', () => {
        const fate = Math.random() < 0.5 ? 'drop' : null;
        fates.push(`${fate} ${Date.now()}`);
        return fate;
      });
      await datagrams(client, server, 20, 0.1);
    });
    return fates.join();
  };
  assert.equal(await run(), await run());
});

test('a partition of one direction lets the other direction pass', () =>
  between(async (world, server, client) => {
    const packets: string[] = [];
    world.rule('log', (packet) => {
      packets.push(packet.source);
      return null;
    });
    using _ = world.partition(server, client, { oneWay: true });
    assert.deepEqual(await datagrams(client, server, 3, 0.1), []);
    // The requests reach the server, which answers.
    assert.equal(packets.filter((source) => source === server.addresses[0]).length, 0);
  }));

test('a partition cuts groups of hosts, and one host from all others', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => world.host(name)) as [Host, Host, Host, Host];
    for (const host of world.hosts) void host.run(echoDatagrams);
    await sleep(1);
    const reaches = async (from: Host, to: Host): Promise<boolean> =>
      (await datagrams(from, to, 1, 0)).length === 1;
    {
      using _ = world.partition([a, 'b'], [c, d]);
      assert.deepEqual(
        [await reaches(a, b), await reaches(c, d), await reaches(a, c), await reaches(d, b)],
        [true, true, false, false],
      );
    }
    {
      using _ = world.partition(a);
      assert.deepEqual(
        [await reaches(a, a), await reaches(b, a), await reaches(a, c), await reaches(b, c)],
        [true, false, false, true],
      );
    }
    assert.equal(await reaches(a, c), true);
  });
});

async function echoDatagrams(): Promise<void> {
  await getRunningLoop().createDatagramEndpoint(() => new EchoProtocol(), { localAddr: ['0.0.0.0', PORT] });
  await getRunningLoop().createFuture();
}

test('a blackhole lets connects time out, and a refusal fails them at once', () =>
  between(async (world, server, client) => {
    {
      using _ = world.blackhole(server, { port: PORT });
      const begin = world.time();
      await assert.rejects(roundTrips(client, server, 1), { code: 'ETIMEDOUT' });
      about(world.time() - begin, 127, 1);
    }
    {
      using _ = world.refuse('server', { from: 'client', protocol: 'tcp' });
      const begin = world.time();
      await assert.rejects(roundTrips(client, server, 1), { code: 'ECONNREFUSED' });
      about(world.time() - begin, 0, 0.01);
      assert.equal((await datagrams(client, server, 1, 0)).length, 1);
    }
    assert.equal((await roundTrips(client, server, 1)).length, 1);
  }));

test('a refusal resets connections that are open', () =>
  between(async (world, server, client) => {
    await client.run(async () => {
      const [reader, writer] = await openConnection(server.addresses[0] as string, PORT);
      world.refuse(server);
      writer.write('hello\n');
      await assert.rejects(reader.readline(), { code: 'ECONNRESET' });
    });
  }));

test('a flapping link works and fails in turn, by its seed', async () => {
  const arrivals = async (seed: number): Promise<number[]> => {
    let arrived: number[] = [];
    await between(async (world, server, client) => {
      world.flapping({ up: 1, down: 1 });
      arrived = await datagrams(client, server, 200, 0.5);
    }, seed);
    return arrived;
  };
  const arrived = await arrivals(1);
  about(arrived.length, 100, 35);
  // The losses come in runs.
  const changes = arrived.filter((number, i) => i > 0 && number !== (arrived[i - 1] as number) + 1).length;
  assert.ok(changes > 10 && changes < 60, String(changes));
  assert.deepEqual(await arrivals(1), arrived);
  assert.notDeepEqual(await arrivals(2), arrived);
});

test('a function decides the fate of each packet', () =>
  between(async (world, server, client) => {
    let syns = 0;
    world.rule('third SYN', (packet) => {
      if (packet.protocol !== 'tcp' || packet.flags !== 2) return null;
      syns++;
      if (syns < 3) return 'drop';
      return syns === 3 ? { delay: 5 } : null;
    });
    const begin = world.time();
    await roundTrips(client, server, 1);
    // The second SYN comes after 1 s, and the third after 2 s more.
    about(world.time() - begin, 8, 0.1);
  }));

test('faults begin and end in the trace, and name their packets', async () => {
  const { trace } = await simulate({ seed: 1, trace: true }, async (world) => {
    const [a, b] = [world.host('a'), world.host('b')];
    using _ = world.partition(a, b);
    a.enter(() => {});
    await datagrams(a, b, 1, 0);
  });
  const lines = trace
    .filter(({ kind }) => kind !== 'program')
    .map(({ host, kind, label }) => `${host} ${kind} ${label}`);
  assert.equal(lines[0], ' fault begins: a <-> b: partition');
  assert.match(String(lines[1]), /^a lost udp 10\.0\.0\.1:\d+ > 10\.0\.0\.2:7 1 bytes, by partition$/);
  assert.equal(lines[2], ' fault ends: a <-> b: partition');
});

test('faults reject unknown hosts and wrong values', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const other = await simulate({ seed: 2 }, async () => {}).catch(() => null);
    assert.equal(other, null);
    world.host('a');
    world.host('b');
    const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => world.partition('nobody', 'a'), {
      ...range,
      message: /a host of this world \(a, b\)/,
    });
    assert.throws(() => world.partition([], 'a'), range);
    assert.throws(() => world.partition(5 as never), type);
    assert.throws(() => world.blackhole('nobody'), range);
    assert.throws(() => world.latency('a', 'nobody', 1), range);
    assert.throws(() => world.latency(-1), range);
    assert.throws(() => world.latency('1' as never), type);
    assert.throws(() => world.latency({ min: 2, max: 1 }), range);
    assert.throws(() => world.latency({ mean: 1, distribution: 'gamma' } as never), range);
    assert.throws(() => world.latency({ mean: 1, oneway: true } as never), type);
    assert.throws(() => world.loss(2), range);
    assert.throws(() => world.loss('a', 'b', 'c' as never), type);
    assert.throws(() => world.bandwidth(0), range);
    assert.throws(() => world.bandwidth({ bytesPerSecond: 1.5 }), range);
    assert.throws(() => world.flapping({ up: 0, down: 1 }), range);
    assert.throws(() => world.partition('a', 'b', { refuse: 1 } as never), type);
    assert.throws(() => world.blackhole('a', { port: 70_000 }), range);
    assert.throws(() => world.rule('x', 5 as never), type);
  });
});

test('a host of another world is unknown', async () => {
  let foreign: Host | null = null;
  await simulate({ seed: 1 }, async (world) => {
    foreign = world.host('a');
  });
  await simulate({ seed: 1 }, async (world) => {
    world.host('a');
    assert.throws(() => world.latency(foreign as unknown as Host, 1), { code: 'ERR_OUT_OF_RANGE' });
  });
});
