/** A loop with a virtual clock and a fake network: the test decides about names, connects and streams. */
import type {
  ConnectEvents,
  ConnectTarget,
  ListenEvents,
  ListenTarget,
  Names,
  RawListener,
  RawRequest,
  RawStream,
  ResolveQuery,
  StreamEvents,
  StreamInfo,
  StreamSockets,
} from '../../src/backend/backend.ts';
import { SimBackend } from '../../src/backend/sim/index.ts';
import { loneKernel } from '../../src/backend/sim/kernel.ts';
import type { AddressInfo, SocketAddress } from '../../src/base/address.ts';
import { literalFamily } from '../../src/base/address.ts';
import { AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM } from '../../src/base/constants.ts';
import { checkLoopEmpty } from '../../src/entry/testing.ts';
import { BaseEventLoop } from '../../src/index.ts';
import { NO_CAPABILITIES } from '../helpers/bare-loop.ts';

type Answer = (error: Error | null, found: AddressInfo[]) => void;

/** A stream without a peer. */
export class FakeStream implements RawStream {
  /** `readStart`, `write 5`, `abort`, … */
  readonly calls: string[] = [];
  readonly sent: Buffer[] = [];
  /** True: the host accepts each write at once. False: `onWritten` comes when a test calls it. */
  takesAll: boolean = true;
  events: StreamEvents | null = null;

  open(events: StreamEvents): void {
    this.events = events;
  }
  readStart(): void {
    this.calls.push('readStart');
  }
  readStop(): void {
    this.calls.push('readStop');
  }
  write(chunks: Uint8Array[]): boolean {
    const data = Buffer.concat(chunks);
    this.sent.push(data);
    this.calls.push(`write ${data.length}`);
    return this.takesAll;
  }
  shutdown(): void {
    this.calls.push('shutdown');
  }
  close(): void {
    this.calls.push('close');
  }
  abort(): void {
    this.calls.push('abort');
  }
  info(): StreamInfo {
    const handle = { fileno: () => -1, setNoDelay: () => {}, setKeepAlive: () => {} };
    return {
      family: AF_INET,
      sockname: ['192.0.2.1', 1],
      peername: ['192.0.2.2', 2],
      handle,
      direction: 'both',
      halfClose: true,
      extra: {},
    };
  }
}

/** An attempt to connect. The test decides its outcome. */
export class FakeAttempt implements RawRequest {
  readonly host: string;
  readonly local: string | null;
  /** The time of its start, on the loop's clock. */
  readonly at: number;
  readonly #net: FakeNet;
  readonly #events: ConnectEvents;
  cancelled: boolean = false;

  constructor(net: FakeNet, target: ConnectTarget, events: ConnectEvents, at: number) {
    this.#net = net;
    this.host = target.address[0] as string;
    this.local = target.local === null ? null : (target.local[0] as string);
    this.at = at;
    this.#events = events;
  }

  /** Reports the connection. */
  connect(): FakeStream {
    const stream = new FakeStream();
    this.#net.note(`connected ${this.host}`);
    this.#events.onConnect(stream);
    return stream;
  }

  fail(code: string): void {
    this.#net.note(`failed ${this.host}`);
    const error = new Error(`connect ${code} ${this.host}`);
    this.#events.onError(Object.assign(error, { code, syscall: 'connect', address: this.host }));
  }

  cancel(): void {
    this.cancelled = true;
    this.#net.note(`cancel ${this.host}`);
  }
}

/** A listening socket. The test decides about its clients. */
export class FakeListener implements RawListener {
  readonly #address: SocketAddress;
  readonly #net: FakeNet;
  readonly #events: ListenEvents;

  constructor(net: FakeNet, { address }: ListenTarget, events: ListenEvents) {
    this.#net = net;
    this.#address = address as SocketAddress;
    this.#events = events;
  }

  accept(): FakeStream {
    const stream = new FakeStream();
    this.#events.onConnection(stream);
    return stream;
  }

  fail(code: string): void {
    this.#events.onError(Object.assign(new Error(`accept ${code}`), { code, syscall: 'accept' }));
  }

  sockname(): SocketAddress {
    return this.#address;
  }
  fileno(): number {
    return -1;
  }
  serve(): void {}
  acceptStop(): void {}

  acceptStart(): void {
    this.#net.note(`accept ${this.#address[0]}`);
  }
  close(): void {
    this.#net.note(`close ${this.#address[0]}`);
  }
}

/** The network, from the test's side. */
export class FakeNet {
  readonly log: string[] = [];
  readonly listeners: FakeListener[] = [];
  readonly queries: ResolveQuery[] = [];
  readonly attempts: FakeAttempt[] = [];
  /** Called at the start of each attempt: decides its outcome, by the loop's clock. */
  onAttempt: (attempt: FakeAttempt) => void = () => {};
  /** The addresses of each name; a name that is not here is answered by `answer()`. */
  names: Record<string, string[]> = {};
  readonly #answers: Answer[] = [];
  #waiting: (() => void)[] = [];

  note(word: string): void {
    this.log.push(word);
  }

  /** Waits until `count` names were requested. */
  async asked(count: number): Promise<void> {
    while (this.queries.length < count) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  answer(index: number, found: string[] | Error): void {
    const answer = this.#answers[index] as Answer;
    if (found instanceof Error) answer(found, []);
    else answer(null, found.map(addressInfo));
  }

  /** The backend's `resolve`. */
  resolve(query: ResolveQuery, onDone: Answer): RawRequest {
    const host = String(query.host);
    this.queries.push(query);
    this.#answers.push(onDone);
    const known = this.names[host];
    if (known === undefined) this.note(`resolve ${host}`);
    else setImmediate(() => onDone(null, known.map(addressInfo)));
    for (const resolve of this.#waiting.splice(0)) resolve();
    return { cancel: () => this.note(`forget ${host}`) };
  }
}

class FakeNetBackend extends SimBackend {
  override readonly reusePort = true;
  readonly net: FakeNet = new FakeNet();
  override readonly names: Names = {
    resolve: (query, onDone) => this.net.resolve(query, onDone),
    /** Never answers. */
    nameOf: ({ address }) => {
      this.net.note(`name ${address[0]}`);
      return { cancel: () => this.net.note(`forget ${address[0]}`) };
    },
  };
  override readonly tcp: StreamSockets = {
    connect: (target, events) => {
      const attempt = new FakeAttempt(this.net, target, events, this.time());
      this.net.attempts.push(attempt);
      this.net.note(`connect ${attempt.host}`);
      this.net.onAttempt(attempt);
      return attempt;
    },
    listen: (target, events) => {
      const listener = new FakeListener(this.net, target, events);
      this.net.listeners.push(listener);
      setImmediate(() => events.onListening());
      return listener;
    },
    adopt: () => {
      throw new Error('nothing here opens a socket');
    },
  };
}

class FakeNetEventLoop extends BaseEventLoop {
  readonly net: FakeNet;

  constructor() {
    const backend = new FakeNetBackend(loneKernel(0));
    const { names, tcp } = backend;
    Object.assign(backend, NO_CAPABILITIES, { names, tcp });
    super(backend);
    this.net = backend.net;
  }
}

/** Returns the loop, its network, and a function that closes both and fails if something is left. */
export function fakeNet(): { loop: BaseEventLoop; net: FakeNet; close: () => void } {
  const loop = new FakeNetEventLoop();
  return {
    loop,
    net: loop.net,
    close: () => {
      try {
        checkLoopEmpty(loop);
      } finally {
        loop.close();
      }
    },
  };
}

function addressInfo(host: string): AddressInfo {
  const v6 = literalFamily(host) === 6;
  return {
    family: v6 ? AF_INET6 : AF_INET,
    type: SOCK_STREAM,
    proto: IPPROTO_TCP,
    canonname: '',
    sockaddr: v6 ? [host, 0, 0, 0] : [host, 0],
  };
}
