/** A simulated host as the machine of a test. Its peers are plain sockets of its kernel. */
import assert from 'node:assert/strict';
import { promises } from 'node:fs';
import type { Channel } from '../../src/backend/sim/channel.ts';
import { OpenPipe, openPipePair, openSocketPair } from '../../src/backend/sim/handles/open-pipe.ts';
import { OpenSocket } from '../../src/backend/sim/handles/open-socket.ts';
import { SimBackend } from '../../src/backend/sim/index.ts';
import type { Kernel } from '../../src/backend/sim/kernel.ts';
import type { Acceptor } from '../../src/backend/sim/kernel-sockets.ts';
import { openFile } from '../../src/backend/sim/machine/open-file.ts';
import { SIGNALS } from '../../src/backend/sim/machine/signals.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { BaseEventLoop } from '../../src/index.ts';
import type { Descriptors, Files, Machine, Peer, PeerServer, Peers, Signals } from './machine.ts';
import { installPrograms } from './simulated-programs.ts';

const REUSE = { reuseAddress: true, reusePort: false, ipv6Only: true };

/** Another loop on a host. */
class LoopOf extends BaseEventLoop {
  constructor(kernel: Kernel) {
    super(new SimBackend(kernel));
  }
}

/** Makes a machine, and loops on it: the first is of the public class, and brings its host along. */
export function simulatedMachine(): { makeLoop: () => BaseEventLoop; machine: Machine } {
  const machine = new SimulatedMachine();
  const makeLoop = (): BaseEventLoop => {
    if (machine.kernel !== null) return new LoopOf(machine.kernel);
    const loop = new SimulatedEventLoop();
    assert.ok(loop._backend instanceof SimBackend);
    machine.begin(loop._backend.kernel);
    return loop;
  };
  return { makeLoop, machine };
}

class SimulatedMachine implements Machine {
  /** null before the first loop is made. */
  kernel: Kernel | null = null;
  #directories: number = 0;

  begin(kernel: Kernel): void {
    this.kernel = kernel;
    installPrograms(kernel.machine.programs, kernel.host);
  }

  get #kernel(): Kernel {
    return this.kernel ?? assert.fail('no loop was made yet');
  }

  get #machine(): Kernel['machine'] {
    return this.#kernel.machine;
  }

  /** The kernel of a simulated host can send its own files only. */
  async withUnsendable(
    body: (file: string | promises.FileHandle, begins: RegExp) => Promise<void>,
  ): Promise<void> {
    const handle = await promises.open(new URL(import.meta.url));
    try {
      await body(handle, /^\/\*\* A simu/);
    } finally {
      await handle.close();
    }
  }

  readonly files: Files = {
    inDirectory: async (body) => {
      const directory = `/tmp/gyre-${++this.#directories}`;
      this.#machine.memory.mkdirSync(directory);
      try {
        await body(directory);
      } finally {
        this.#machine.memory.rmSync(directory, { recursive: true });
      }
    },
    write: (path, data) => this.#machine.memory.writeFileSync(path, data),
    truncate: (path, length) => this.#machine.memory.truncateSync(path, length),
    remove: (path) => this.#machine.memory.unlinkSync(path),
    kindOf: (path) => {
      const { memory } = this.#machine;
      if (!memory.existsSync(path)) return 'none';
      const stats = memory.statSync(path);
      return stats.isSocket() ? 'socket' : stats.isFile() ? 'file' : 'other';
    },
  };

  readonly descriptors: Descriptors = {
    pipe: () => openPipePair(this.#kernel.host, this.#machine.descriptors),
    socketPair: () => openSocketPair(this.#kernel.host, this.#machine.descriptors),
    openFile: (path) => openFile(this.#machine.files, this.#machine.descriptors, path).fd,
    read: (fd, length = 65_536) => {
      const channel = this.#channel(fd);
      const data = channel.read(length);
      if (data !== null) return Buffer.from(data).toString();
      return channel.ended ? '' : null;
    },
    write: (fd, data) => {
      assert.equal(this.#channel(fd).write(Buffer.from(data)), data.length);
    },
    close: (fd) => this.#machine.descriptors.close(fd),
    isOpen: (fd) => this.#machine.descriptors.find(fd) !== null,
  };

  #channel(fd: number): Channel {
    const object = this.#machine.descriptors.get(fd, 'read');
    assert.ok(object instanceof OpenPipe || object instanceof OpenSocket);
    return object.channel ?? assert.fail('it is not connected');
  }

  readonly peers: Peers = {
    listen: async (host = '127.0.0.1') => {
      const { tcp } = this.#kernel.network;
      const binding = tcp.bind(host.includes(':') ? [host, 0, 0, 0] : [host, 0], REUSE);
      return this.#serve(tcp.listen(binding, 100));
    },
    listenAt: async (path) => {
      const { unix } = this.#machine;
      return this.#serve(unix.listen(unix.bind(path), 100));
    },
    connect: (to) =>
      new Promise((resolve, reject) => {
        const onDone = (error: Error | null, channel: Channel | null): void => {
          if (channel === null) reject(error);
          else resolve(new ChannelPeer(channel, this.#machine.descriptors));
        };
        if (typeof to === 'string') this.#machine.unix.connect(to, null, onDone);
        else this.#kernel.network.tcp.connect(['127.0.0.1', to], null, onDone);
      }),
    datagrams: async () => {
      const socket = this.#kernel.network.udp.open(2);
      socket.bind(['127.0.0.1', 0], { ...REUSE, reuseAddress: false });
      const [, port] = socket.sockname as readonly [string, number];
      const fd = this.#machine.descriptors.open(OpenSocket.ofDatagrams(socket), 'socket');
      return { sock: fd, port, close: async () => this.#machine.descriptors.close(fd) };
    },
  };

  #serve(acceptor: Acceptor): PeerServer {
    const peers: ChannelPeer[] = [];
    const { sockname } = acceptor;
    return {
      port: typeof sockname === 'string' ? 0 : (sockname[1] as number),
      accept: async () => {
        for (;;) {
          const channel = acceptor.accept();
          if (channel !== null) {
            const peer = new ChannelPeer(channel, this.#machine.descriptors);
            peers.push(peer);
            return peer;
          }
          await new Promise<void>((resolve) => {
            acceptor.onAcceptable = resolve;
          });
        }
      },
      close: async () => {
        acceptor.close();
        for (const peer of peers) await peer.close();
      },
    };
  }

  readonly signals: Signals = {
    send: (signal) => this.#machine.signals.deliver(SIGNALS[signal] as number),
    sent: async (signal) => this.#machine.signals.deliver(SIGNALS[signal] as number),
    handlers: (signal) => (this.#machine.signals.handles(SIGNALS[signal] as number) ? 1 : 0),
  };
}

class ChannelPeer implements Peer {
  readonly #channel: Channel;
  readonly #descriptors: Kernel['machine']['descriptors'];
  #fd: number | null = null;

  constructor(channel: Channel, descriptors: Kernel['machine']['descriptors']) {
    this.#channel = channel;
    this.#descriptors = descriptors;
  }

  /** A descriptor, which is made when it is asked for. */
  get sock(): number {
    this.#fd ??= this.#descriptors.open(OpenSocket.ofChannel(this.#channel), 'socket');
    return this.#fd;
  }

  write(data: string): void {
    assert.equal(this.#channel.write(Buffer.from(data)), data.length);
  }

  end(data: string = ''): void {
    if (data !== '') this.write(data);
    this.#channel.shutdownWrite();
  }

  async rest(): Promise<string> {
    const chunks: Uint8Array[] = [];
    for (;;) {
      const data = this.#channel.read(65_536);
      if (data !== null) chunks.push(data);
      else if (this.#channel.error !== null) throw this.#channel.error;
      else if (this.#channel.ended) return Buffer.concat(chunks).toString();
      else await this.#changed();
    }
  }

  /** A connection that was handed over is its new owner's. */
  async close(): Promise<void> {
    if (this.#fd === null) this.#channel.close();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#channel.events = { onReadable: resolve, onWritable: () => {}, onError: () => resolve() };
    });
  }
}
