import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from '../../src/entry/sim.ts';
import { openConnection, sleep, startServer } from '../../src/index.ts';

async function serve(): Promise<void> {
  const server = await startServer(
    async (reader, writer) => {
      await reader.read();
      writer.close();
    },
    '0.0.0.0',
    80,
  );
  await server.serveForever();
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.replace(/ +/g, ' '));

test('netstat() counts the FIN of a connection until the peer has acknowledged it', async () => {
  await simulate({ seed: 1, onReport: () => {} }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    void server.run(serve);
    const queues = (): string[] =>
      lines(client.netstat())
        .slice(2)
        .map((line) => line.replace(/^tcp (\S+) (\S+) .* (\S+)$/, '$2 $3'));
    await client.run(async () => {
      const [reader, writer] = await openConnection('10.0.0.1', 80);
      const pause = server.pause();
      writer.writeEof();
      await sleep(0.0001);
      assert.deepEqual(queues(), ['1 FIN_WAIT1']);
      await sleep(0.1);
      assert.deepEqual(queues(), ['0 FIN_WAIT2']);
      pause[Symbol.dispose]();
      await reader.read();
      await sleep(0.1);
      assert.deepEqual(queues(), ['0 TIME_WAIT']);
      writer.close();
    });
  });
});

test('netstat() shows the sockets of each host in the columns of Linux', async () => {
  await simulate({ seed: 1, onReport: () => {} }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    void server.run(serve);
    void client.run(async () => {
      const [, writer] = await openConnection('10.0.0.1', 80);
      await sleep(3600);
      writer.close();
    });
    await sleep(1);
    const [title, columns, listening, connection] = lines(server.netstat());
    assert.equal(title, 'Active Internet connections (servers and established)');
    assert.equal(columns, 'Proto Recv-Q Send-Q Local Address Foreign Address State');
    assert.equal(listening, 'tcp 0 0 0.0.0.0:80 0.0.0.0:* LISTEN');
    assert.match(String(connection), /^tcp 0 0 10\.0\.0\.1:80 10\.0\.0\.2:\d+ ESTABLISHED$/);
    const all = world.netstat();
    assert.ok(all.startsWith(`host server\n${server.netstat()}`));
    assert.ok(all.includes(`host client\n${client.netstat()}`));
  });
});

test('the error of a failed simulation shows the sockets at that time', async () => {
  const failing = simulate({ seed: 1, onReport: () => {} }, async (world) => {
    void world.host('server').run(serve);
    await sleep(1);
    throw new Error('failed');
  });
  const { stack } = await failing.then(
    () => assert.fail(),
    (error: Error) => error,
  );
  assert.match(
    String(stack),
    /The sockets of its hosts:\n +host server\n[\s\S]*0\.0\.0\.0:80 +0\.0\.0\.0:\* +LISTEN/,
  );
});
