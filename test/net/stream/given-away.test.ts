/**
 * The memory of written data is transferred or resized before it has left. The connection is lost by EFAULT,
 * over every kind of transport, whether the data was queued or being sent. Other connections and the loop
 * continue.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { toDuplex } from '../../../src/entry/node.ts';
import type { BaseEventLoop, SubprocessTransport } from '../../../src/index.ts';
import { PIPE, Protocol, SubprocessProtocol, sleep } from '../../../src/index.ts';
import { WriteQueue } from '../../../src/net/stream/write-queue.ts';
import { PlainQueue } from '../../../src/net/tls/tls-plain-queue.ts';
import { addressOf, endAll, endpoint } from '../../helpers/datagrams.ts';
import { connectedPair, isNative, onNode, Recorder, recorders } from '../../helpers/pairs.ts';
import { tsArguments } from '../../helpers/typescript.ts';
import { noUnix, pipeEnds, unixRecorders } from '../../helpers/unix-pairs.ts';
import { onFake } from '../datagram/fake-datagrams.ts';
import { tlsRecorders } from '../tls/tls-peers.ts';

/** More than any kernel accepts at once. */
const MUCH = 40_000_000;

/** Returns memory that its owner may resize. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };

function resizable(bytes: number, most: number = bytes): Resizable {
  return new (ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable)(bytes, {
    maxByteLength: most,
  });
}

interface Way {
  memory(bytes: number): ArrayBuffer;
  /**
   * Returns a reference to keep until the end, so that the memory is not reused: some hosts still send from
   * it.
   */
  lose(memory: ArrayBuffer): unknown;
}

const WAYS: Record<string, Way> = {
  transferred: {
    memory: (bytes) => new ArrayBuffer(bytes),
    lose: (memory) => structuredClone(memory, { transfer: [memory] }),
  },
  shrunk: { memory: (bytes) => resizable(bytes), lose: (memory) => (memory as Resizable).resize(0) },
  cut: {
    memory: (bytes) => resizable(bytes),
    lose: (memory) => (memory as Resizable).resize(memory.byteLength - 1),
  },
};

interface Side {
  near: Recorder;
  /** Reads from now on; nothing was read before. */
  read(): void;
  end(): Promise<void>;
}

function sideOf({ near, far }: { near: Recorder; far: Recorder }): Side {
  far.transport.pauseReading();
  return {
    near,
    read: () => far.transport.resumeReading(),
    end: async () => {
      far.transport.abort();
      await far.untilLost();
    },
  };
}

async function pipeSide(loop: BaseEventLoop): Promise<Side> {
  const { read: fd, write } = pipeEnds();
  const near = new Recorder();
  await loop.connectWritePipe(() => near, write);
  let reading = true;
  const read = async (): Promise<void> => {
    for (const room = Buffer.alloc(65_536); reading; await sleep(0)) {
      try {
        if (readSync(fd, room) === 0) return;
      } catch {
        // No data has come yet.
      }
    }
  };
  return {
    near,
    read: () => void read(),
    end: async () => {
      reading = false;
      closeSync(fd);
    },
  };
}

/** The standard input of a child that begins to read on request. */
async function childSide(loop: BaseEventLoop): Promise<Side> {
  const program =
    'process.once("SIGUSR2", () => process.stdin.resume()); setInterval(() => {}, 1e6); console.log("up")';
  const up = loop.createFuture<void>();
  const gone = loop.createFuture<void>();
  const near = new Recorder();
  class Child extends SubprocessProtocol {
    override pipeDataReceived(): void {
      if (!up.done()) up.setResult(undefined);
    }
    override pipeConnectionLost(fd: number, error: Error | null): void {
      if (fd === 0) near.connectionLost(error);
    }
    override processExited(): void {
      gone.setResult(undefined);
    }
  }
  const options = { stdin: PIPE, stdout: PIPE, stderr: 'inherit' } as const;
  const [child] = await loop.subprocessExec(() => new Child(), process.execPath, ['-e', program], options);
  await up;
  near.connectionMade((child as SubprocessTransport).getPipeTransport(0) as never);
  return {
    near,
    read: () => child.sendSignal('SIGUSR2'),
    end: async () => {
      child.kill();
      await gone;
      child.close();
    },
  };
}

const KINDS: Record<string, (loop: BaseEventLoop) => Promise<Side>> = {
  'a TCP connection': async (loop) => sideOf(await recorders(loop)),
  'a unix socket': async (loop) => sideOf(await unixRecorders(loop)),
  'a TLS connection': async (loop) => sideOf(await tlsRecorders(loop)),
  'a pipe': pipeSide,
  'the input of a child': childSide,
};

function codeOf(recorder: Recorder): string | undefined {
  return (recorder.exception as NodeJS.ErrnoException | null)?.code;
}

for (const [kind, open] of Object.entries(KINDS)) {
  const skip = kind.includes('TCP') || kind.includes('TLS') ? false : noUnix;
  for (const [way, { memory: make, lose }] of Object.entries(WAYS)) {
    test(
      `${kind} is lost by EFAULT when queued memory is ${way}, and the loop and other connections continue`,
      { skip },
      onNode(async (loop) => {
        const { near, read, end } = await open(loop);
        const other = await recorders(loop);
        const memory = make(100);
        near.transport.write('first');
        near.transport.write(new Uint8Array(memory));
        other.near.transport.write('of another');
        const kept = lose(memory);
        await near.untilLost();
        assert.equal(codeOf(near), 'EFAULT');
        await other.far.untilReceived(10);
        read();
        await end();
        other.near.transport.close();
        await other.far.untilLost();
        void kept;
      }),
    );

    test(
      `${kind} is lost by EFAULT when memory in flight is ${way}`,
      { skip },
      onNode(async (loop) => {
        const { near, read, end } = await open(loop);
        const memory = make(MUCH);
        near.transport.write(new Uint8Array(memory));
        await sleep(0.01);
        assert.ok(near.transport.getWriteBufferSize() > 0);
        const kept = lose(memory);
        read();
        await near.untilLost();
        assert.equal(codeOf(near), 'EFAULT');
        await end();
        void kept;
      }),
    );
  }
}

test(
  'a connection with many queued chunks is lost when one of them is transferred, and sends nothing after that one',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    far.transport.pauseReading();
    near.transport.write(Buffer.alloc(MUCH));
    const chunks = Array.from({ length: 300 }, () => new Uint8Array(1000).fill(1));
    near.transport.writelines(chunks);
    near.transport.write(new Uint8Array(1000).fill(2));
    const { buffer } = chunks[150] as Uint8Array<ArrayBuffer>;
    const kept = structuredClone(buffer, { transfer: [buffer] });
    far.transport.resumeReading();
    await near.untilLost();
    assert.equal(codeOf(near), 'EFAULT');
    await far.untilLost();
    assert.ok(!Buffer.concat(far.chunks).includes(2));
    void kept;
  }),
);

test(
  'a duplex over a transport ends with EFAULT when the memory of a chunk is transferred',
  onNode(async (loop) => {
    const far = new Recorder();
    const { near } = await connectedPair(loop, new Protocol(), far);
    const duplex = toDuplex(near);
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => duplex.once('error', resolve));
    const memory = new ArrayBuffer(100);
    duplex.write(new Uint8Array(memory));
    const kept = structuredClone(memory, { transfer: [memory] });
    assert.equal((await failed).code, 'EFAULT');
    await far.untilLost();
    void kept;
  }),
);

test(
  'a connection is lost when queued memory has grown',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const memory = resizable(100, 200);
    near.transport.write(new Uint8Array(memory));
    memory.resize(200);
    await near.untilLost();
    assert.equal(codeOf(near), 'EFAULT');
    await far.untilLost();
    assert.equal(far.received, 0);
  }),
);

test('written text arrives although another part of the program transfers a small Buffer, and with it the shared pool', async () => {
  const child = fileURLToPath(new URL('./text-memory.child.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, tsArguments(child), {
    env: { ...process.env, GYRE_TEST_BACKEND: isNative ? 'uv' : 'node' },
  });
  assert.equal(stdout, 'a string, and lines, and a datagram');
});

// --- datagrams ---

test(
  'a datagram is sent with the data and address of the call of sendto()',
  onNode(async (loop) => {
    const near = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const wrong = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    for (const size of [5, 5000]) {
      const data = new Uint8Array(size).fill(1);
      const address: [string, number] = [...addressOf(far)];
      near.transport.sendto(data, address);
      address[1] = addressOf(wrong)[1];
      data.fill(2);
      structuredClone(data.buffer, { transfer: [data.buffer] });
    }
    await far.untilReceived(2);
    assert.deepEqual(
      far.datagrams.map((data) => [data.length, data.every((byte) => byte === 1)]),
      [
        [5, true],
        [5000, true],
      ],
    );
    assert.deepEqual([wrong.texts, near.errors], [[], []]);
    await endAll(near, far, wrong);
  }),
);

test(
  'queued datagrams are copies, and so are their addresses',
  onFake(async (loop) => {
    const sent: [Buffer, unknown][] = [];
    const { raw, recorder } = await loop.openFake({ localAddr: ['192.0.2.1', 1] });
    raw.takesAll = false;
    const send = raw.send;
    raw.send = (data, address) => {
      sent.push([Buffer.from(data), structuredClone(address)]);
      return send.call(raw, data, address);
    };
    const address: [string, number] = ['192.0.2.2', 2];
    const memory = new Uint8Array(4).fill(1);
    recorder.transport.sendto('first', address);
    recorder.transport.sendto(memory, address);
    recorder.transport.sendto(memory, address);
    const size = recorder.transport.getWriteBufferSize();
    address[0] = '192.0.2.3';
    structuredClone(memory.buffer, { transfer: [memory.buffer] });
    assert.equal(recorder.transport.getWriteBufferSize(), size);
    for (let i = 0; i < 3; i++) raw.events.onSent(null);
    assert.deepEqual(sent, [
      [Buffer.from('first'), ['192.0.2.2', 2]],
      [Buffer.alloc(4, 1), ['192.0.2.2', 2]],
      [Buffer.alloc(4, 1), ['192.0.2.2', 2]],
    ]);
    assert.equal(recorder.transport.getWriteBufferSize(), 0);
    recorder.transport.close();
    raw.events.onClose(null);
    await recorder.untilLost();
  }),
);

test(
  'a datagram for which the host throws is an error of the endpoint, which continues',
  onFake(async (loop) => {
    const { raw, recorder } = await loop.openFake();
    const send = raw.send;
    raw.send = () => {
      throw Object.assign(new Error('no'), { code: 'EBAD' });
    };
    recorder.transport.sendto('one');
    raw.send = send;
    recorder.transport.sendto('two');
    await recorder.untilTold('error');
    assert.deepEqual(recorder.codes, ['EBAD']);
    assert.deepEqual(raw.calls, ['send 3']);
    assert.equal(recorder.transport.getWriteBufferSize(), 0);
    recorder.transport.close();
    raw.events.onClose(null);
    await recorder.untilLost();
  }),
);

// --- the queues ---

test('the write queues throw for a chunk whose length has changed', () => {
  const memory = new ArrayBuffer(10);
  const queue = new WriteQueue();
  queue.push(Buffer.from('x'));
  queue.push(new Uint8Array(memory));
  const plain = new PlainQueue();
  plain.push([Buffer.from('x'), new Uint8Array(memory)]);
  structuredClone(memory, { transfer: [memory] });
  for (const one of [queue, plain]) assert.throws(() => one.take(), { code: 'EFAULT', syscall: 'write' });
});
