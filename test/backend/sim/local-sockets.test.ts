import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel } from '../../../src/backend/sim/channel.ts';
import type { SimHost } from '../../../src/backend/sim/host.ts';
import { LocalSockets } from '../../../src/backend/sim/local/local-sockets.ts';
import { MemoryFiles } from '../../../src/backend/sim/machine/files.ts';
import { onKernel } from './kernels.ts';

function onSockets(
  body: (world: {
    sockets: LocalSockets;
    files: MemoryFiles;
    host: SimHost;
    idle: () => Promise<void>;
    connect: (path: string) => Promise<Channel | string>;
  }) => unknown,
): Promise<void> {
  return onKernel(({ host }, idle) => {
    const files = new MemoryFiles();
    const sockets = new LocalSockets(host, files);
    const connect = async (path: string): Promise<Channel | string> => {
      let result: Channel | string = 'nothing';
      sockets.connect(path, null, (error, channel) => {
        result = channel ?? (error as Error).message;
      });
      await idle();
      return result;
    };
    return body({ sockets, files, host, idle, connect });
  });
}

for (const name of ['/tmp/socket', '\0abstract']) {
  test(`a connection to ${JSON.stringify(name)} waits in the queue of its listener`, () =>
    onSockets(async ({ sockets, connect }) => {
      const acceptor = sockets.listen(sockets.bind(name), 10);
      let told = 0;
      acceptor.onAcceptable = () => told++;
      const near = (await connect(name)) as Channel;
      await connect(name);
      assert.deepEqual([near.peername, near.sockname, told], [name, '', 1]);
      const far = acceptor.accept();
      assert.deepEqual([far?.peername, far?.sockname], ['', name]);
      assert.notEqual(acceptor.accept(), null);
      assert.equal(acceptor.accept(), null);
      await connect(name);
      assert.equal(told, 2);
    }));

  test(`${JSON.stringify(name)} can be bound once, until its socket is closed`, () =>
    onSockets(({ sockets, files }) => {
      const binding = sockets.bind(name);
      assert.throws(() => sockets.bind(name), { code: 'EADDRINUSE', syscall: 'bind', address: name });
      binding.release();
      if (files.existsSync(name)) files.unlinkSync(name);
      sockets.bind(name);
    }));
}

test('the file of a closed socket stays, and connects to it are refused', () =>
  onSockets(async ({ sockets, files, connect }) => {
    const acceptor = sockets.listen(sockets.bind('/tmp/socket'), 10);
    acceptor.close();
    assert.equal(files.statSync('/tmp/socket').isSocket(), true);
    assert.equal(await connect('/tmp/socket'), 'connect ECONNREFUSED /tmp/socket');
    assert.throws(() => sockets.bind('/tmp/socket'), { code: 'EADDRINUSE' });
    const { kind, identity } = sockets.fileAt('/tmp/socket');
    assert.equal(kind, 'socket');
    assert.equal(sockets.removeFile('/tmp/socket', `${identity}0`), false);
    assert.deepEqual(
      [sockets.removeFile('/tmp/socket', identity), sockets.removeFile('/tmp/socket', identity)],
      [true, false],
    );
    assert.equal(sockets.fileAt('/tmp/socket').kind, 'none');
    assert.equal(await connect('/tmp/socket'), 'connect ENOENT /tmp/socket');
  }));

test('the path of a file that is no socket is in use, and refuses connects', () =>
  onSockets(async ({ sockets, files, connect }) => {
    files.writeFileSync('/tmp/file', 'precious');
    assert.throws(() => sockets.bind('/tmp/file'), { code: 'EADDRINUSE' });
    assert.equal(sockets.fileAt('/tmp/file').kind, 'other');
    assert.equal(await connect('/tmp/file'), 'connect ECONNREFUSED /tmp/file');
    assert.throws(() => sockets.bind('/missing/socket'), { code: 'ENOENT', syscall: 'bind' });
    assert.throws(() => sockets.bind('/tmp/file/socket'), { code: 'ENOTDIR' });
  }));

test('a socket whose file was replaced removes no other file', () =>
  onSockets(({ sockets, files }) => {
    const binding = sockets.bind('/tmp/socket');
    files.unlinkSync('/tmp/socket');
    files.writeFileSync('/tmp/socket', 'precious');
    assert.equal(sockets.removeFile('/tmp/socket', binding.identity), false);
    assert.equal(files.readFileSync('/tmp/socket', 'utf8'), 'precious');
  }));

test('a full queue of connections fails the next connect with EAGAIN', () =>
  onSockets(async ({ sockets, connect }) => {
    const acceptor = sockets.listen(sockets.bind('\0name'), 1);
    await connect('\0name');
    await connect('\0name');
    assert.match(String(await connect('\0name')), /^connect EAGAIN/);
    acceptor.accept();
    assert.equal(typeof (await connect('\0name')), 'object');
  }));

test('connections that were not accepted end with their listener', () =>
  onSockets(async ({ sockets, connect, idle }) => {
    const acceptor = sockets.listen(sockets.bind('\0name'), 1);
    const near = (await connect('\0name')) as Channel;
    acceptor.close();
    await idle();
    assert.equal(near.ended, true);
    assert.match(String(await connect('\0name')), /^connect ECONNREFUSED/);
  }));

test('the empty name asks for a free abstract name', () =>
  onSockets(({ sockets }) => {
    assert.deepEqual([sockets.bind('').address, sockets.bind('').address], ['\u000000001', '\u000000002']);
  }));

test('a cancelled connect reaches no listener', () =>
  onSockets(async ({ sockets, idle }) => {
    const acceptor = sockets.listen(sockets.bind('\0name'), 1);
    sockets.connect('\0name', null, () => assert.fail()).cancel();
    await idle();
    assert.equal(acceptor.acceptable, false);
  }));
