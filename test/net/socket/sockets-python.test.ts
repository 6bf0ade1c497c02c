/** The same calls of asyncio's loop and of gyre's: their answers, and their errors. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import type { BaseEventLoop } from '../../../src/index.ts';
import { AF_INET, AF_UNIX, SHUT_WR, SOCK_DGRAM, SOCK_STREAM, Socket } from '../../../src/index.ts';
import { addressOf, listening, noNative, onUv, passes, pipe, socketPair } from '../../helpers/descriptors.ts';
import { noPython } from '../names/python-names.ts';

const PROGRAM = `
import asyncio, errno, json, os, socket

log = {}

async def attempt(name, call):
    try:
        result = call()
        if asyncio.iscoroutine(result):
            result = await result
        log[name] = result.decode() if isinstance(result, bytes) else result
    except OSError as error:
        log[name] = errno.errorcode[error.errno]

def nonblocking(*sockets):
    for one in sockets:
        one.setblocking(False)
    return sockets

async def watched(name, loop, fd, direction):
    told = asyncio.Event()
    getattr(loop, 'add_' + direction)(fd, told.set)
    try:
        await asyncio.wait_for(told.wait(), 0.2)
        log[name] = True
    except asyncio.TimeoutError:
        log[name] = False
    log[name + ', removed'] = getattr(loop, 'remove_' + direction)(fd)
    log[name + ', removed again'] = getattr(loop, 'remove_' + direction)(fd)

async def main():
    loop = asyncio.get_running_loop()
    file = os.open('/etc/passwd', os.O_RDONLY)
    await attempt('a file', lambda: loop.add_reader(file, print))
    r, w = os.pipe()
    await watched('an empty pipe, to read', loop, r, 'reader')
    await watched('an empty pipe, to write', loop, w, 'writer')
    os.write(w, b'x')
    await watched('a pipe with data', loop, r, 'reader')
    os.read(r, 1)
    os.close(w)
    await watched('a pipe whose writer has gone', loop, r, 'reader')
    os.close(r)
    await attempt('a closed descriptor', lambda: loop.add_reader(r, print))
    r, w = os.pipe()
    os.close(r)
    await watched('a pipe whose reader has gone, to write', loop, w, 'writer')
    await watched('a pipe whose reader has gone, to read', loop, w, 'reader')
    os.close(w)

    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen()
    near, = nonblocking(socket.socket())
    await attempt('receiving without a connection', lambda: loop.sock_recv(near, 10))
    await attempt('sending without a connection', lambda: loop.sock_sendall(near, b'x'))
    await attempt('accepting without listening', lambda: loop.sock_accept(near))
    await attempt('the peer of none', near.getpeername)
    nonblocking(listener)
    await attempt('connecting', lambda: loop.sock_connect(near, listener.getsockname()))
    far, _ = await loop.sock_accept(listener)
    await attempt('connecting twice', lambda: loop.sock_connect(near, listener.getsockname()))
    await attempt('sending', lambda: loop.sock_sendall(far, b'hello'))
    await attempt('receiving nothing', lambda: loop.sock_recv(near, 0))
    await attempt('receiving a part', lambda: loop.sock_recv(near, 2))
    buffer = bytearray(10)
    await attempt('receiving into', lambda: loop.sock_recv_into(near, buffer))
    far.shutdown(socket.SHUT_WR)
    await attempt('receiving the end', lambda: loop.sock_recv(near, 10))
    await attempt('receiving the end again', lambda: loop.sock_recv(near, 10))
    await attempt('sending to a half', lambda: loop.sock_sendall(near, b'x'))
    far.close()
    await attempt('sending to one that has gone', lambda: loop.sock_sendall(near, b'y'))
    await asyncio.sleep(0.01)
    await attempt('sending to one that has gone, again', lambda: loop.sock_sendall(near, b'z'))
    near.close()
    await attempt('a closed one', lambda: loop.sock_recv(near, 10))
    await attempt('the address of a closed one', near.getsockname)
    address = listener.getsockname()
    listener.close()
    late, = nonblocking(socket.socket())
    await attempt('connecting to nobody', lambda: loop.sock_connect(late, address))
    await attempt('connecting to nobody again', lambda: loop.sock_connect(late, address))
    await attempt('shutting down what is not connected', lambda: late.shutdown(socket.SHUT_RDWR))
    late.close()

    udp, other = nonblocking(*(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)))
    udp.bind(('127.0.0.1', 0))
    await attempt('a datagram', lambda: loop.sock_sendto(other, b'hello', udp.getsockname()))
    async def first():
        data, address = await loop.sock_recvfrom(udp, 3)
        return [data.decode(), address == ('127.0.0.1', other.getsockname()[1])]
    await attempt('its beginning', first)
    await attempt('one that is too long', lambda: loop.sock_sendto(other, bytes(100000), udp.getsockname()))
    await attempt('an empty one', lambda: loop.sock_sendto(other, b'', udp.getsockname()))
    await attempt('that it is empty', lambda: loop.sock_recv(udp, 10))
    a, b = nonblocking(*socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
    await attempt('from one without a name', lambda: loop.sock_sendall(a, b'x'))
    async def unnamed():
        data, address = await loop.sock_recvfrom(b, 10)
        return [data.decode(), address]
    await attempt('its name', unnamed)
    u, = nonblocking(socket.socket(socket.AF_UNIX))
    await attempt('a path of nobody', lambda: loop.sock_connect(u, '/nowhere/at/all'))
    await attempt('a socket of two kinds', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 6))

asyncio.run(main())
print(json.dumps(log))
`;

async function pythonLog(): Promise<Record<string, unknown>> {
  const child = spawn('python3', ['-c', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return JSON.parse(text) as Record<string, unknown>;
}

async function gyreLog(loop: BaseEventLoop): Promise<Record<string, unknown>> {
  const log: Record<string, unknown> = {};
  const attempt = async (name: string, call: () => unknown): Promise<void> => {
    try {
      const result = await call();
      log[name] = Buffer.isBuffer(result) ? String(result) : (result ?? null);
    } catch (error) {
      log[name] = (error as NodeJS.ErrnoException).code;
    }
  };
  const watched = async (name: string, fd: number, direction: 'reader' | 'writer'): Promise<void> => {
    let told = false;
    const [add, remove] =
      direction === 'reader'
        ? (['addReader', 'removeReader'] as const)
        : (['addWriter', 'removeWriter'] as const);
    loop[add](fd, () => {
      told = true;
    });
    await passes();
    log[name] = told;
    log[`${name}, removed`] = loop[remove](fd);
    log[`${name}, removed again`] = loop[remove](fd);
  };

  const file = openSync('/etc/passwd', 'r');
  await attempt('a file', () => loop.addReader(file, () => {}));
  closeSync(file);
  const first = pipe();
  await watched('an empty pipe, to read', first.from, 'reader');
  await watched('an empty pipe, to write', first.to, 'writer');
  first.write('x');
  await watched('a pipe with data', first.from, 'reader');
  first.closeTo();
  await watched('a pipe whose writer has gone', first.from, 'reader');
  first.closeFrom();
  await attempt('a closed descriptor', () => loop.addReader(first.from, () => {}));
  const second = pipe();
  second.closeFrom();
  await watched('a pipe whose reader has gone, to write', second.to, 'writer');
  await watched('a pipe whose reader has gone, to read', second.to, 'reader');
  second.closeTo();

  const listener = listening();
  const near = new Socket();
  await attempt('receiving without a connection', () => loop.sockRecv(near, 10));
  await attempt('sending without a connection', () => loop.sockSendall(near, 'x'));
  await attempt('accepting without listening', () => loop.sockAccept(near));
  await attempt('the peer of none', () => near.getpeername());
  await attempt('connecting', () => loop.sockConnect(near, addressOf(listener)));
  const [far] = await loop.sockAccept(listener);
  await attempt('connecting twice', () => loop.sockConnect(near, addressOf(listener)));
  await attempt('sending', () => loop.sockSendall(far, 'hello'));
  await attempt('receiving nothing', () => loop.sockRecv(near, 0));
  await attempt('receiving a part', () => loop.sockRecv(near, 2));
  await attempt('receiving into', () => loop.sockRecvInto(near, new Uint8Array(10)));
  far.shutdown(SHUT_WR);
  await attempt('receiving the end', () => loop.sockRecv(near, 10));
  await attempt('receiving the end again', () => loop.sockRecv(near, 10));
  await attempt('sending to a half', () => loop.sockSendall(near, 'x'));
  far.close();
  await attempt('sending to one that has gone', () => loop.sockSendall(near, 'y'));
  await passes();
  await attempt('sending to one that has gone, again', () => loop.sockSendall(near, 'z'));
  near.close();
  await attempt('a closed one', () => loop.sockRecv(near, 10));
  await attempt('the address of a closed one', () => near.getsockname());
  const address = addressOf(listener);
  listener.close();
  const late = new Socket();
  await attempt('connecting to nobody', () => loop.sockConnect(late, address));
  await attempt('connecting to nobody again', () => loop.sockConnect(late, address));
  await attempt('shutting down what is not connected', () => late.shutdown(2));
  late.close();

  const udp = new Socket(AF_INET, SOCK_DGRAM);
  udp.bind(['127.0.0.1', 0]);
  const other = new Socket(AF_INET, SOCK_DGRAM);
  await attempt('a datagram', () => loop.sockSendto(other, 'hello', addressOf(udp)));
  await attempt('its beginning', async () => {
    const [data, from] = await loop.sockRecvfrom(udp, 3);
    return [String(data), from?.[0] === '127.0.0.1' && from[1] === addressOf(other)[1]];
  });
  await attempt('one that is too long', () => loop.sockSendto(other, Buffer.alloc(100_000), addressOf(udp)));
  await attempt('an empty one', () => loop.sockSendto(other, '', addressOf(udp)));
  await attempt('that it is empty', () => loop.sockRecv(udp, 10));
  udp.close();
  other.close();
  const pair = socketPair();
  const a = new Socket(undefined, undefined, undefined, { fileno: pair.from });
  const b = new Socket(undefined, undefined, undefined, { fileno: pair.to });
  await attempt('from one without a name', () => loop.sockSendall(a, 'x'));
  await attempt('its name', async () => {
    const [data, from] = await loop.sockRecvfrom(b, 10);
    return [String(data), from];
  });
  a.close();
  b.close();
  using u = new Socket(AF_UNIX, SOCK_STREAM);
  await attempt('a path of nobody', () => loop.sockConnect(u, '/nowhere/at/all'));
  await attempt('a socket of two kinds', () => new Socket(AF_INET, SOCK_DGRAM, 6));
  return log;
}

/** The differences, each with the reason. */
const DIFFERENT: Record<string, [python: unknown, gyre: unknown]> = {
  // CPython's sockets call connect() once and then read SO_ERROR, so the kernel still regards them as
  // connecting.
  'connecting twice': [null, 'EISCONN'],
  'connecting to nobody again': ['ECONNABORTED', 'ECONNREFUSED'],
};

test(
  'asyncio and gyre answer and fail alike for the same socket calls',
  { skip: noNative || noPython },
  onUv(async (loop) => {
    const python = await pythonLog();
    const gyre = await gyreLog(loop);
    for (const [name, [its, ours]] of Object.entries(DIFFERENT)) {
      assert.deepEqual([python[name], gyre[name]], [its, ours], name);
      delete python[name];
      delete gyre[name];
    }
    assert.deepEqual(gyre, python);
  }),
);
