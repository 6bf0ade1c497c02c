/** The layer itself, between a transport and an engine that a test plays by hand, on a virtual clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  BackendFeatures,
  ConnectEvents,
  ConnectTarget,
  ListenEvents,
  ListenTarget,
  RawListener,
  RawRequest,
  RawTls,
  TlsContext,
  TlsEvents,
  TlsTarget,
} from '../../../src/backend/backend.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import type { Future, Transport } from '../../../src/index.ts';
import { BaseEventLoop, CancelledError, sleep, TimeoutError } from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { Recorder } from '../../helpers/pairs.ts';
import { FakeTransport } from '../../streams/helpers.ts';
import { FakeStream } from '../fake-net.ts';

const FEATURES: BackendFeatures = new SimBackend(0).features;

class FakeEngine implements RawTls {
  readonly calls: string[] = [];
  readonly events: TlsEvents;
  readonly target: TlsTarget;

  constructor(target: TlsTarget, events: TlsEvents) {
    this.target = target;
    this.events = events;
  }
  secure(): void {
    this.events.onSecure({ extra: { cipher: { version: 'fake' } } });
  }
  decrypt(data: Uint8Array): void {
    this.calls.push(`decrypt ${String(data)}`);
  }
  decryptEnd(): void {
    this.calls.push('decryptEnd');
  }
  encrypt(chunks: Uint8Array[]): void {
    this.calls.push(`encrypt ${Buffer.concat(chunks).length}`);
  }
  end(): void {
    this.calls.push('end');
  }
  close(): void {
    this.calls.push('close');
  }
}

class FakeTlsBackend extends SimBackend {
  override readonly features: BackendFeatures = { ...FEATURES, tls: true, tcp: true };
  engine!: FakeEngine;
  listening!: ListenEvents;
  readonly stream: FakeStream = new FakeStream();

  override connect(...args: [ConnectTarget, ConnectEvents] | []): RawRequest {
    const [, events] = args as [ConnectTarget, ConnectEvents];
    setImmediate(() => events.onConnect(this.stream));
    return { cancel: () => {} };
  }

  override listen(...args: [ListenTarget, ListenEvents] | []): RawListener {
    const [, events] = args as [ListenTarget, ListenEvents];
    this.listening = events;
    setImmediate(() => events.onListening());
    return {
      sockname: () => ['192.0.2.1', 443],
      fileno: () => -1,
      serve: () => {},
      acceptStart: () => {},
      close: () => {},
    };
  }

  override tlsContext(): TlsContext {
    return { serverSide: false };
  }

  override wrapTls(...args: [TlsTarget, TlsEvents] | []): RawTls {
    this.engine = new FakeEngine(...(args as [TlsTarget, TlsEvents]));
    return this.engine;
  }
}

class FakeTlsLoop extends BaseEventLoop {
  readonly backend: FakeTlsBackend;
  constructor() {
    const backend = new FakeTlsBackend(0);
    super(backend);
    this.backend = backend;
  }
}

/** The transport below. It tells its protocol of its loss in the turn after it was asked for it. */
class Lower extends FakeTransport {
  protocol: { connectionLost?(error: Error | null): void; [name: string]: unknown } = {};
  buffered: number = 0;
  readonly #loop: BaseEventLoop;
  #lost: boolean = false;

  constructor(loop: BaseEventLoop) {
    super();
    this.#loop = loop;
  }
  override getWriteBufferSize(): number {
    return this.buffered;
  }
  override setProtocol(protocol: object): void {
    this.protocol = protocol as Lower['protocol'];
  }
  override getProtocol(): object {
    return this.protocol;
  }
  override close(): void {
    super.close();
    if (this.buffered === 0) this.lose(null);
  }
  override abort(): void {
    super.abort();
    this.lose(null);
  }
  lose(error: Error | null): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#loop.callSoon(() => this.protocol.connectionLost?.(error));
  }
  tell(method: string, argument?: unknown): unknown {
    return (this.protocol as Record<string, (argument: unknown) => unknown>)[method]?.(argument);
  }
}

interface Parts {
  loop: FakeTlsLoop;
  lower: Lower;
  engine: FakeEngine;
  recorder: Recorder;
}

/** None of them is the default. */
const OPTIONS = { serverHostname: 'x', sslHandshakeTimeout: 50, sslShutdownTimeout: 20 };

function layer(body: (parts: Parts, starting: Future<Transport>) => Promise<void>): () => Promise<void> {
  return () =>
    withLoop(
      () => new FakeTlsLoop(),
      (loop) =>
        loop.runUntilComplete(async () => {
          const lower = new Lower(loop);
          const recorder = new Recorder();
          const starting = loop.startTls(lower, recorder, {}, OPTIONS);
          await body({ loop, lower, engine: loop.backend.engine, recorder }, starting);
        }),
    );
}

/** As {@link layer}, after the handshake. */
function open(body: (parts: Parts & { transport: Transport }) => Promise<void>): () => Promise<void> {
  return layer(async (parts, starting) => {
    parts.engine.secure();
    const transport = await starting;
    parts.lower.calls.length = 0;
    parts.engine.calls.length = 0;
    await body({ ...parts, transport });
  });
}

test(
  'the handshake has exactly its time, and leaves no timer when it is done',
  layer(async ({ loop, lower }, starting) => {
    await assert.rejects(starting, (error) => error instanceof TimeoutError);
    assert.equal(loop.time(), 50);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'a handshake that is done in time is not timed any more',
  layer(async ({ loop, engine, lower, recorder }, starting) => {
    await sleep(49.9);
    engine.secure();
    const transport = await starting;
    await sleep(1000);
    assert.equal(loop.time(), 1049.9);
    assert.equal(transport.isClosing(), false);
    transport.abort();
    await recorder.untilLost();
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'nothing is read between the handshake and the first reader, and what was decrypted by then comes first',
  layer(async ({ lower, engine, recorder }, starting) => {
    engine.secure();
    assert.equal(lower.reading, false);
    engine.events.onDecrypted(Buffer.from('one '));
    engine.events.onDecrypted(Buffer.from('two '));
    const transport = await starting;
    assert.deepEqual(recorder.log, []);
    engine.events.onDecrypted(Buffer.from('three'));
    await recorder.untilReceived(13);
    assert.equal(recorder.text, 'one two three');
    assert.equal(lower.reading, true);
    transport.abort();
    await recorder.untilLost();
  }),
);

test(
  'a reader that pauses stops the transport below, and what is decrypted all the same waits, with the end behind it',
  open(async ({ lower, engine, recorder, transport }) => {
    transport.pauseReading();
    assert.equal(lower.reading, false);
    engine.events.onDecrypted(Buffer.from('held'));
    engine.events.onEnd();
    await sleep(1);
    assert.deepEqual(recorder.log, []);
    recorder.keepOpen = true;
    transport.resumeReading();
    await recorder.untilTold('eof');
    assert.deepEqual(recorder.log, ['data', 'eof']);
    transport.abort();
    await recorder.untilLost();
  }),
);

test(
  'a slice is encrypted at a time, and none while the transport below is full',
  open(async ({ lower, engine, recorder, transport }) => {
    const slice = 128 * 1024;
    transport.write(Buffer.alloc(3 * slice));
    assert.deepEqual(engine.calls, [`encrypt ${slice}`]);
    await sleep(1);
    assert.deepEqual(engine.calls, [`encrypt ${slice}`]);
    lower.tell('pauseWriting');
    engine.events.onDrained();
    assert.deepEqual(engine.calls, [`encrypt ${slice}`]);
    assert.deepEqual(recorder.log, ['pause']);
    lower.tell('resumeWriting');
    engine.events.onDrained();
    assert.equal(engine.calls.length, 3);
    assert.deepEqual(recorder.log, ['pause']);
    // All is encrypted, but has not left.
    lower.tell('pauseWriting');
    engine.events.onDrained();
    assert.deepEqual(recorder.log, ['pause']);
    lower.tell('resumeWriting');
    assert.deepEqual(recorder.log, ['pause', 'resume']);
    assert.equal(transport.getWriteBufferSize(), 0);
    transport.abort();
    await recorder.untilLost();
  }),
);

test(
  "close: our end of TLS, then the peer's, then the transport below",
  open(async ({ lower, engine, recorder, transport }) => {
    transport.write('the last');
    transport.close();
    await sleep(0);
    assert.deepEqual(engine.calls, ['encrypt 8']);
    engine.events.onDrained();
    assert.deepEqual(engine.calls, ['encrypt 8', 'end']);
    engine.events.onEncrypted(Buffer.from('notify'));
    engine.events.onEnded();
    await sleep(10);
    assert.equal(lower.calls.includes('close'), false);
    engine.events.onDecrypted(Buffer.from('too late'));
    engine.events.onEnd();
    await recorder.untilLost();
    assert.deepEqual(lower.calls.slice(-1), ['close']);
    assert.deepEqual([recorder.log, recorder.exception], [['lost'], null]);
  }),
);

test(
  "close after the peer's end of TLS waits for our own only",
  open(async ({ lower, engine, recorder, transport }) => {
    recorder.keepOpen = true;
    engine.events.onEnd();
    transport.close();
    await sleep(0);
    assert.equal(lower.calls.includes('close'), false);
    engine.events.onEnded();
    await recorder.untilLost();
    assert.deepEqual(lower.calls.slice(-1), ['close']);
    assert.equal(recorder.exception, null);
  }),
);

test(
  'the shutdown has exactly its time; a peer that takes what is still written is given it again',
  open(async ({ loop, lower, engine, recorder, transport }) => {
    const before = loop.time();
    lower.buffered = 1000;
    transport.close();
    await sleep(0);
    engine.events.onEnded();
    await sleep(19);
    assert.equal(recorder.lost, false);
    lower.buffered = 500;
    await sleep(20);
    assert.equal(recorder.lost, false);
    // Nothing more is taken.
    await recorder.untilLost();
    assert.equal(Math.round(loop.time() - before), 40);
    assert.ok(recorder.exception instanceof TimeoutError);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'while closing, a reset is an error as long as something has not left',
  open(async ({ lower, engine, recorder, transport }) => {
    lower.buffered = 1000;
    transport.close();
    await sleep(0);
    engine.events.onEnded();
    const reset = new Error('reset');
    lower.lose(reset);
    await recorder.untilLost();
    assert.equal(recorder.exception, reset);
  }),
);

test(
  'while closing, a reset is none once everything has left',
  open(async ({ lower, engine, recorder, transport }) => {
    lower.buffered = 1000;
    transport.close();
    await sleep(0);
    engine.events.onEnded();
    lower.buffered = 0;
    lower.tell('resumeWriting');
    lower.lose(new Error('reset'));
    await recorder.untilLost();
    assert.equal(recorder.exception, null);
  }),
);

test(
  'what the engine has to say of its failure leaves, if the peer takes it in time',
  open(async ({ loop, lower, engine, recorder }) => {
    const before = loop.time();
    const failure = new Error('bad record');
    engine.events.onEncrypted(Buffer.from('alert'));
    lower.buffered = 5;
    engine.events.onError(failure, false);
    assert.deepEqual(lower.calls, ['write alert', 'close']);
    assert.deepEqual(engine.calls, ['close']);
    // The peer does not.
    await recorder.untilLost();
    assert.equal(loop.time() - before, 20);
    assert.deepEqual(lower.calls, ['write alert', 'close', 'abort']);
    assert.equal(recorder.exception, failure);
  }),
);

test(
  'a failure with nothing to say ends the transport below at once',
  open(async ({ lower, engine, recorder }) => {
    const failure = new Error('bad record');
    engine.events.onError(failure, false);
    assert.deepEqual(lower.calls, ['abort']);
    await recorder.untilLost();
    assert.equal(recorder.exception, failure);
  }),
);

test(
  'truncation is told once there is a reader, behind the data',
  open(async ({ lower, engine, recorder, transport }) => {
    transport.pauseReading();
    engine.events.onDecrypted(Buffer.from('data'));
    // The writing side stays open, whatever the reading side still has to tell.
    assert.equal(lower.tell('eofReceived'), true);
    assert.deepEqual(engine.calls, ['decryptEnd']);
    engine.events.onTruncated();
    await sleep(1);
    assert.deepEqual(recorder.log, []);
    transport.resumeReading();
    await recorder.untilLost();
    assert.deepEqual(recorder.log, ['data', 'lost']);
    assert.equal((recorder.exception as { code?: string }).code, 'ERR_TLS_TRUNCATED');
  }),
);

test(
  'while closing, the end of the connection is as good as the end of TLS',
  open(async ({ lower, engine, recorder, transport }) => {
    transport.close();
    await sleep(0);
    engine.events.onTruncated();
    assert.equal(lower.calls.includes('close'), false);
    engine.events.onEnded();
    await recorder.untilLost();
    assert.equal(recorder.exception, null);
  }),
);

test(
  'a handshake without an end is given up',
  layer(async ({ lower, engine }, starting) => {
    for (let i = 0; i < 16; i++) lower.tell('dataReceived', Buffer.alloc(65_536));
    assert.equal(engine.calls.length, 16);
    lower.tell('dataReceived', Buffer.alloc(1));
    await assert.rejects(starting, { code: 'ERR_TLS_FLOOD' });
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'a peer that has TLS talk of itself without end, and reads none of it, is left; data may wait as long as it likes',
  open(async ({ lower, engine, recorder, transport }) => {
    const record = Buffer.alloc(1024);
    const talk = (): void => {
      for (let i = 0; i < 256; i++) engine.events.onEncrypted(record);
    };
    // It reads.
    for (let i = 0; i < 10; i++) talk();
    lower.tell('pauseWriting');
    talk();
    lower.tell('resumeWriting');
    // This is data.
    transport.write('data');
    await sleep(0);
    lower.tell('pauseWriting');
    for (let i = 0; i < 10; i++) talk();
    engine.events.onDrained();
    assert.equal(recorder.lost, false);
    talk();
    assert.deepEqual(lower.calls.includes('abort'), false);
    engine.events.onEncrypted(record);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
    await recorder.untilLost();
    assert.equal((recorder.exception as { code?: string }).code, 'ERR_TLS_FLOOD');
  }),
);

test(
  'a connection that is lost between the end of the handshake and the answer rejects, and is told to the protocol once',
  layer(async ({ lower, engine, recorder }, starting) => {
    engine.secure();
    const reset = new Error('reset');
    lower.tell('connectionLost', reset);
    await assert.rejects(starting, reset);
    assert.deepEqual([recorder.log, recorder.exception], [['lost'], reset]);
  }),
);

test(
  'cancelled between the end of the handshake and the answer, it ends the connection and tells the protocol',
  layer(async ({ lower, engine, recorder }, starting) => {
    engine.secure();
    starting.cancel();
    await assert.rejects(starting, CancelledError);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
    await recorder.untilLost();
    assert.deepEqual([recorder.log, recorder.exception], [['lost'], null]);
  }),
);

test('createConnection() that is answered with a connection which was lost a moment ago: its protocol is told so', () =>
  withLoop(
    () => new FakeTlsLoop(),
    (loop) =>
      loop.runUntilComplete(async () => {
        const recorder = new Recorder();
        const connecting = loop.createConnection(() => recorder, '192.0.2.1', 443, { ssl: {} });
        const { backend } = loop;
        while (backend.engine === undefined) await sleep(0);
        backend.engine.secure();
        const reset = new Error('reset');
        backend.stream.events?.onClose(reset);
        await connecting;
        await recorder.untilLost();
        assert.deepEqual([recorder.log, recorder.exception], [['made', 'lost'], reset]);
      }),
  ));

test('a server forgets a connection that is lost between the end of its handshake and its protocol', () =>
  withLoop(
    () => new FakeTlsLoop(),
    (loop) =>
      loop.runUntilComplete(async () => {
        let made = 0;
        const factory = (): Recorder => {
          made++;
          return new Recorder();
        };
        const server = await loop.createServer(factory, '192.0.2.1', 443, { ssl: {} });
        const { stream } = loop.backend;
        loop.backend.listening.onConnection(stream);
        loop.backend.engine.secure();
        stream.events?.onClose(new Error('reset'));
        await sleep(1);
        server.close();
        await server.waitClosed();
        assert.equal(made, 0);
      }),
  ));

test(
  'after the end nothing that the engine or the transport says has any effect',
  open(async ({ lower, engine, recorder, transport }) => {
    transport.abort();
    await recorder.untilLost();
    const calls = [...lower.calls];
    engine.events.onDecrypted(Buffer.from('x'));
    engine.events.onEnd();
    engine.events.onTruncated();
    engine.events.onEnded();
    engine.events.onDrained();
    engine.events.onError(new Error('late'), false);
    lower.tell('resumeWriting');
    await sleep(100);
    assert.deepEqual([recorder.log, lower.calls], [['lost'], calls]);
  }),
);
