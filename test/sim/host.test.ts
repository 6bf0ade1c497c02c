import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../../src/entry/sim.ts';
import { simulate } from '../../src/entry/sim.ts';
import { getRunningLoop, newEventLoop, openConnection, run, sleep, startServer } from '../../src/index.ts';

const seed = 1;

/** Serves lines on port 7: answers each with its number. Its count is lost with the program. */
async function count(): Promise<void> {
  let lines = 0;
  const server = await startServer(
    async (reader, writer) => {
      for await (const line of reader.lines()) {
        lines++;
        writer.write(`${lines} ${line}`);
        await writer.drain();
      }
      writer.close();
    },
    null,
    7,
  );
  await server.serveForever();
}

/** Sends a line to the host, and returns the answer and the seconds that it took. */
async function ask(host: Host, line: string): Promise<[answer: string, seconds: number]> {
  const begin = getRunningLoop().time();
  const [reader, writer] = await openConnection(host.addresses[0] as string, 7);
  try {
    writer.write(`${line}\n`);
    return [String(await reader.readline()).trimEnd(), getRunningLoop().time() - begin];
  } finally {
    writer.close();
  }
}

test('a paused host answers nothing until it resumes, but its kernel accepts', async () => {
  await simulate({ seed }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    void server.run(count);
    await sleep(1);
    let answered = 0;
    const asked = client.run(async () => {
      const [answer, seconds] = await ask(server, 'hello');
      answered = seconds;
      return answer;
    });
    {
      using pause = server.pause();
      assert.equal(server.state, 'paused');
      assert.ok(pause);
      await sleep(30);
      assert.equal(answered, 0);
    }
    assert.equal(server.state, 'up');
    assert.equal(await asked, '1 hello');
    assert.ok(answered > 29 && answered < 31, String(answered));
  });
});

test('timers of a paused host run when it resumes', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const program = host.run(async () => {
      await sleep(1);
      return world.time();
    });
    await sleep(0.5);
    host.pause();
    await sleep(100);
    host.resume();
    assert.equal(await program, 100.5);
  });
});

test('a crashed host sends nothing, and its peer finds out when it sends after the restart', async () => {
  await simulate({ seed }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    const service = server.run(count);
    await sleep(1);
    const { ready, ended } = connectAndWait(client, server);
    await ready;
    server.crash();
    assert.equal(server.state, 'down');
    await assert.rejects(service, {
      code: 'ERR_SIMULATION_PROGRAM_ENDED',
      message: 'program main has no result, because host server crashed',
    });
    await sleep(300);
    assert.equal(ended.at, null);
    void server.restart();
    assert.equal(server.state, 'up');
    await sleep(1);
    ended.send();
    await sleep(1);
    assert.equal(ended.error, 'ECONNRESET');
    const [answer] = await client.run(() => ask(server, 'again'));
    assert.equal(answer, '1 again');
  });
});

test('the sockets of a killed program are closed, so its peer sees the end of the stream', async () => {
  await simulate({ seed }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    void server.run(count);
    await sleep(1);
    const { ready, ended } = connectAndWait(client, server);
    await ready;
    // The server has accepted by then.
    await sleep(1);
    const before = world.time();
    server.kill();
    assert.equal(server.state, 'up');
    assert.deepEqual(server.programs, []);
    await sleep(1);
    assert.equal(ended.error, null);
    assert.ok(ended.at !== null && ended.at - before < 0.01, String(ended.at));
    await assert.rejects(
      client.run(() => ask(server, 'hello')),
      { code: 'ECONNREFUSED' },
    );
  });
});

/** Connects to port 7, and records how the connection ends. */
function connectAndWait(client: Host, server: Host) {
  const ended = { at: null as number | null, error: null as string | null, send: (): void => {} };
  const ready = new Promise<void>((resolve) => {
    void client.run(async () => {
      const loop = getRunningLoop();
      const lost = loop.createFuture<void>();
      const connectionLost = (error: (Error & { code?: string }) | null): void => {
        ended.at = loop.time();
        ended.error = error?.code ?? null;
        lost.setResult();
      };
      const [transport] = await loop.createConnection(
        () => ({ connectionLost }),
        server.addresses[0] as string,
        7,
      );
      ended.send = () => transport.write('more\n');
      resolve();
      await lost;
    });
  });
  return { ready, ended };
}

test('a crashed or killed program never runs again', async () => {
  for (const how of ['crash', 'kill'] as const) {
    const events: string[] = [];
    await simulate({ seed }, async (world) => {
      const host = world.host('a');
      void host.run(async () => {
        const loop = getRunningLoop();
        loop.callLater(2, () => events.push('timer'));
        try {
          await sleep(2);
          events.push('task');
        } finally {
          events.push('finally');
        }
      });
      void host.run(() => run(() => sleep(2).then(() => events.push('nested'))));
      await sleep(1);
      host[how]();
      await sleep(10);
    });
    assert.deepEqual(events, [], how);
  }
});

test('a program that crashes its own host does not continue', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    let continued = false;
    const program = host.run(async () => {
      await sleep(1);
      host.crash();
      await sleep(0);
      continued = true;
    });
    await assert.rejects(program, { code: 'ERR_SIMULATION_PROGRAM_ENDED' });
    await sleep(1);
    assert.equal(continued, false);
  });
});

test('restart() without a program runs those that were lost, and with a program only this one', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const starts: string[] = [];
    const service = (name: string) => async () => {
      starts.push(name);
      await sleep(1000);
      return name;
    };
    void host.run(service('one'), { name: 'one' });
    void host.run(service('two'), { name: 'two' });
    await host.run(async () => starts.push('short'));
    host.crash();
    const again = host.restart();
    assert.deepEqual(host.programs, ['one', 'two']);
    assert.deepEqual(await again, ['one', 'two']);
    host.crash();
    assert.equal(await host.restart(service('three')), 'three');
    assert.deepEqual(starts, ['one', 'two', 'short', 'one', 'two', 'three']);
  });
});

test('restart() of a host that is up kills its programs before', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('server');
    const client = world.host('client');
    void host.run(count);
    await sleep(1);
    assert.equal((await client.run(() => ask(host, 'a')))[0], '1 a');
    void host.restart();
    await sleep(1);
    assert.equal((await client.run(() => ask(host, 'b')))[0], '1 b');
  });
});

test('a host that is down runs no program', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    host.crash();
    host.crash();
    const down = { code: 'ERR_SIMULATION_HOST_DOWN', message: /host a has crashed: call restart/ };
    assert.throws(() => host.run(async () => {}), down);
    assert.throws(() => host.enter(() => {}), down);
    assert.throws(() => host.pause(), down);
    assert.throws(() => host.kill(), down);
    await host.restart();
    assert.equal(await host.run(async () => 'up'), 'up');
  });
});

test('connecting to a host that is down times out', async () => {
  await simulate({ seed }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    server.crash();
    await assert.rejects(
      client.run(() => ask(server, 'hello')),
      { code: 'ETIMEDOUT' },
    );
    assert.equal(Math.round(world.time()), 127);
  });
});

test('shutdown() ends the programs in good order, and leaves the host up', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    let cleaned = false;
    const program = host.run(async () => {
      try {
        await sleep(1000);
      } finally {
        cleaned = true;
      }
    });
    await sleep(1);
    await host.shutdown();
    assert.equal(cleaned, true);
    await assert.rejects(program, { name: 'CancelledError', message: 'host a was shut down' });
    assert.equal(await host.run(async () => 'up'), 'up');
  });
});

test('a skewed clock shows another date, and its rate also concerns timers', async () => {
  const epoch = new Date('2030-05-01T00:00:00Z');
  await simulate({ seed, epoch }, async (world) => {
    const [right, wrong] = [world.host('right'), world.host('wrong')];
    wrong.skew({ offset: 3600, rate: 2 });
    assert.equal(right.date().toISOString(), '2030-05-01T00:00:00.000Z');
    assert.equal(wrong.date().toISOString(), '2030-05-01T01:00:00.000Z');
    await wrong.run(() => sleep(10));
    assert.equal(world.time(), 5);
    assert.deepEqual([right.time(), wrong.time()], [5, 10]);
    assert.equal(wrong.date().toISOString(), '2030-05-01T01:00:10.000Z');
    wrong.skew({ offset: 0 });
    assert.equal(wrong.date().toISOString(), '2030-05-01T00:00:10.000Z');
  });
});

test('a clock whose rate changes moves the timers that wait', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const program = host.run(async () => {
      await sleep(10);
      return world.time();
    });
    await sleep(5);
    host.skew({ rate: 0.5 });
    assert.equal(await program, 15);
  });
});

test('skew() rejects wrong values', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => host.skew({ rate: 0 }), range);
    assert.throws(() => host.skew({ rate: Number.POSITIVE_INFINITY }), range);
    assert.throws(() => host.skew({ offset: Number.NaN }), range);
    assert.throws(() => host.skew({ speed: 2 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});

test('several loops of one host run at once, and reach each other', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    void host.run(count);
    await sleep(1);
    const local = host.run(async () => {
      const [reader, writer] = await openConnection('127.0.0.1', 7);
      writer.write('local\n');
      const line = String(await reader.readline());
      writer.close();
      return line;
    });
    assert.equal(await local, '1 local\n');
  });
});

test('a loop that a host made and did not run ends with the host', async () => {
  await simulate({ seed }, async (world) => {
    const host = world.host('a');
    const loop = host.enter(() => newEventLoop());
    host.crash();
    assert.equal(loop.isClosed(), true);
  });
});
