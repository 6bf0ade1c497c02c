/** A loop with a virtual clock and a fake datagram socket: the test decides which datagrams it accepts. */
import type {
  DatagramEvents,
  DatagramOpenEvents,
  Datagrams,
  DatagramTarget,
  RawDatagram,
  StreamInfo,
} from '../../../src/backend/backend.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import { loneKernel } from '../../../src/backend/sim/kernel.ts';
import type { SocketAddress } from '../../../src/base/address.ts';
import { AF_INET } from '../../../src/base/constants.ts';
import type { DatagramOptions } from '../../../src/index.ts';
import { BaseEventLoop } from '../../../src/index.ts';
import { DatagramRecorder } from '../../helpers/datagrams.ts';
import type { Reports } from '../../helpers/loop-fixture.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';

export class FakeDatagram implements RawDatagram {
  /** `receiveStart`, `send 5`, `close`, … */
  readonly calls: string[] = [];
  /** True: the host accepts each datagram at once. False: it waits for `left()`. */
  takesAll: boolean = true;
  readonly #target: DatagramTarget;
  #events: DatagramEvents | null = null;

  constructor(target: DatagramTarget) {
    this.#target = target;
  }

  get events(): DatagramEvents {
    if (this.#events === null) throw new Error('not opened');
    return this.#events;
  }

  open(events: DatagramEvents): void {
    this.#events = events;
  }
  receiveStart(): void {
    this.calls.push('receiveStart');
  }
  receiveStop(): void {
    this.calls.push('receiveStop');
  }
  send(data: Uint8Array, address: SocketAddress | null): boolean {
    this.calls.push(`send ${data.length}${address === null ? '' : ` to ${address[0]}`}`);
    return this.takesAll;
  }
  close(): void {
    this.calls.push('close');
  }
  info(): StreamInfo {
    return {
      family: AF_INET,
      sockname: ['192.0.2.1', 1],
      peername: this.#target.remote,
      handle: null,
      direction: 'both',
      halfClose: false,
      extra: {},
    };
  }
}

class FakeDatagramBackend extends SimBackend {
  readonly targets: DatagramTarget[] = [];
  readonly openings: DatagramOpenEvents[] = [];
  readonly log: string[] = [];
  override readonly datagrams: Datagrams = {
    open: (target, events) => {
      this.targets.push(target);
      this.openings.push(events);
      return { cancel: () => this.log.push('cancel') };
    },
  };
}

export class FakeDatagramLoop extends BaseEventLoop {
  readonly fake: FakeDatagramBackend;

  constructor() {
    const backend = new FakeDatagramBackend(loneKernel(0));
    super(backend);
    this.fake = backend;
  }

  /** Opens an endpoint whose host is the test. */
  async openFake(
    options: DatagramOptions = { remoteAddr: ['192.0.2.2', 2] },
    recorder: DatagramRecorder = new DatagramRecorder(),
  ): Promise<{ raw: FakeDatagram; recorder: DatagramRecorder; callsAtOpening: string[] }> {
    const opening = this.createDatagramEndpoint(() => recorder, options);
    // A literal address is requested a few microtasks later.
    while (this.fake.openings.length === 0) await null;
    const raw = new FakeDatagram(this.fake.targets.shift() as DatagramTarget);
    (this.fake.openings.shift() as DatagramOpenEvents).onOpen(raw);
    await opening;
    return { raw, recorder, callsAtOpening: raw.calls.splice(0) };
  }
}

/** Runs `body` as a task, and checks that nothing is left. */
export function onFake(
  body: (loop: FakeDatagramLoop, reports: Reports) => Promise<void>,
): () => Promise<void> {
  return () =>
    withLoop(
      () => new FakeDatagramLoop(),
      (loop, reports) => loop.runUntilComplete(() => body(loop, reports)),
    );
}
