/** The TLS layer alone, between a fake transport and a fake engine, on a virtual clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  ListenEvents,
  RawTls,
  StreamSockets,
  Tls,
  TlsEvents,
  TlsTarget,
} from '../../../src/backend/backend.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import { loneKernel } from '../../../src/backend/sim/kernel.ts';
import type { Future, Transport } from '../../../src/index.ts';
import { BaseEventLoop, CancelledError, sleep, TimeoutError } from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { Recorder } from '../../helpers/pairs.ts';
import { FakeTransport } from '../../streams/helpers.ts';
import { FakeStream } from '../fake-net.ts';

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
  encrypt(chunks: Uint8Array[]): boolean {
    this.calls.push(`encrypt ${Buffer.concat(chunks).length}`);
    return false;
  }
  end(): void {
    this.calls.push('end');
  }
  close(): void {
    this.calls.push('close');
  }
}

class FakeTlsBackend extends SimBackend {
  engine!: FakeEngine;
  listening!: ListenEvents;
  readonly stream: FakeStream = new FakeStream();
  override readonly tcp: StreamSockets = {
    connect: (_target, events) => {
      setImmediate(() => events.onConnect(this.stream));
      return { cancel: () => {} };
    },
    listen: (_target, events) => {
      this.listening = events;
      setImmediate(() => events.onListening());
      return {
        sockname: () => ['192.0.2.1', 443],
        fileno: () => -1,
        serve: () => {},
        acceptStart: () => {},
        acceptStop: () => {},
        close: () => {},
      };
    },
    adopt: () => {
      throw new Error('nothing here opens a socket');
    },
  };
  override readonly tls: Tls = {
    context: () => ({ serverSide: false }),
    wrap: (target, events) => {
      this.engine = new FakeEngine(target, events);
      return this.engine;
    },
  };
}

class FakeTlsLoop extends BaseEventLoop {
  readonly backend: FakeTlsBackend;
  constructor() {
    const backend = new FakeTlsBackend(loneKernel(0));
    super(backend);
    this.backend = backend;
  }
}

/** The transport below. It calls connectionLost() in the turn after it was closed. */
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

/** Times that differ from the defaults. */
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

/** The same as {@link layer}, after the handshake. */
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
  'TlsStream limits the handshake exactly, and leaves no timer when it is done',
  layer(async ({ loop, lower }, starting) => {
    await assert.rejects(starting, (error) => error instanceof TimeoutError);
    assert.equal(loop.time(), 50);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'TlsStream stops the time of a handshake that is done',
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
  'TlsStream reads nothing between the handshake and the first reader, who gets already decrypted data first',
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
  'TlsStream pauses the transport below with its reader, and holds decrypted data, and the end after it',
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
  'TlsStream encrypts one slice at a time, and none while the transport below is paused',
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
    // Everything is encrypted, but has not left.
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
  'TlsStream closes by its own end of TLS, then the peer’s, then the transport below',
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
  'TlsStream.close() after the peer’s end of TLS waits for its own only',
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
  'TlsStream limits the shutdown exactly, and extends it while the peer accepts data',
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
    // Nothing more leaves.
    await recorder.untilLost();
    assert.equal(Math.round(loop.time() - before), 40);
    assert.ok(recorder.exception instanceof TimeoutError);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'TlsStream reports a reset during close() while unsent data is left',
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
  'TlsStream ignores a reset during close() once everything has left',
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
  'TlsStream sends the engine’s alert about a failure if the peer accepts it in time',
  open(async ({ loop, lower, engine, recorder }) => {
    const before = loop.time();
    const failure = new Error('bad record');
    engine.events.onEncrypted(Buffer.from('alert'));
    lower.buffered = 5;
    engine.events.onError(failure, false);
    assert.deepEqual(lower.calls, ['write alert', 'close']);
    assert.deepEqual(engine.calls, ['close']);
    // The peer does not accept it.
    await recorder.untilLost();
    assert.equal(loop.time() - before, 20);
    assert.deepEqual(lower.calls, ['write alert', 'close', 'abort']);
    assert.equal(recorder.exception, failure);
  }),
);

test(
  'TlsStream ends the transport below at once for a failure without an alert',
  open(async ({ lower, engine, recorder }) => {
    const failure = new Error('bad record');
    engine.events.onError(failure, false);
    assert.deepEqual(lower.calls, ['abort']);
    await recorder.untilLost();
    assert.equal(recorder.exception, failure);
  }),
);

test(
  'TlsStream reports truncation once there is a reader, after the data',
  open(async ({ lower, engine, recorder, transport }) => {
    transport.pauseReading();
    engine.events.onDecrypted(Buffer.from('data'));
    // The writing side stays open while the reading side still has events.
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
  'TlsStream accepts the end of the connection as the end of TLS during close()',
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
  'TlsStream fails a handshake in which the peer sends the end of TLS',
  layer(async ({ lower, engine }, starting) => {
    engine.events.onEnd();
    await assert.rejects(starting, { code: 'ECONNRESET' });
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'TlsStream abandons an endless handshake',
  layer(async ({ lower, engine }, starting) => {
    for (let i = 0; i < 16; i++) lower.tell('dataReceived', Buffer.alloc(65_536));
    assert.equal(engine.calls.length, 16);
    lower.tell('dataReceived', Buffer.alloc(1));
    await assert.rejects(starting, { code: 'ERR_TLS_FLOOD' });
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
  }),
);

test(
  'TlsStream abandons a peer that causes TLS messages without end and reads none, but lets data wait',
  open(async ({ lower, engine, recorder, transport }) => {
    const record = Buffer.alloc(1024);
    const talk = (): void => {
      for (let i = 0; i < 256; i++) engine.events.onEncrypted(record);
    };
    // This peer reads.
    for (let i = 0; i < 10; i++) talk();
    lower.tell('pauseWriting');
    talk();
    lower.tell('resumeWriting');
    // This is application data.
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
  'a connection lost between the handshake and the result of createConnection() rejects, and calls connectionLost() once',
  layer(async ({ lower, engine, recorder }, starting) => {
    engine.secure();
    const reset = new Error('reset');
    lower.tell('connectionLost', reset);
    await assert.rejects(starting, reset);
    assert.deepEqual([recorder.log, recorder.exception], [['lost'], reset]);
  }),
);

test(
  'a cancel between the handshake and the result of createConnection() ends the connection, and calls connectionLost()',
  layer(async ({ lower, engine, recorder }, starting) => {
    engine.secure();
    starting.cancel();
    await assert.rejects(starting, CancelledError);
    assert.deepEqual(lower.calls.slice(-1), ['abort']);
    await recorder.untilLost();
    assert.deepEqual([recorder.log, recorder.exception], [['lost'], null]);
  }),
);

test('a connection lost just before createConnection() returns calls connectionLost() of its protocol', () =>
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

test('a server drops a connection that is lost between its handshake and its protocol', () =>
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
  'TlsStream ignores every event of engine and transport after the end',
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
