/**
 * One connection of the program under test. It acts at random at each event, and checks each event against
 * the promises that gyre makes to protocols.
 */
import type { BufferedProtocol, Future, Protocol, Transport } from '../../../src/index.ts';
import { InvalidStateError } from '../../../src/index.ts';
import type { Chance } from '../../helpers/chance.ts';
import { HEADER_BYTES, Incoming, Outgoing, phaseOf } from './content.ts';
import type { World } from './world.ts';
import { Fault, MOST_FILE_BYTES, Planned } from './world.ts';

const SIZES = [1, 10, 1000, 16_000, 17_000, 70_000, 300_000];
/** Bytes that wait at most: nobody writes for ever to one that does not read. */
const MOST_WAITING = 2_000_000;

type Action = (transport: Transport) => void;

export class Program implements Protocol {
  readonly world: World;
  readonly chance: Chance;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming = new Incoming();
  readonly lost: Future<void>;
  /** It has ended its writing in the orderly way, and so a peer that reads to the end gets everything. */
  endedInOrder: boolean = false;
  /** It aborted or threw, or closed in the middle of a file. */
  broken: boolean = false;
  hadEof: boolean = false;
  exception: Error | null | undefined = undefined;
  /** Events that it lets pass before it may end, abort or throw. */
  readonly #patience: number;
  #events: number = 0;
  #transport: Transport | null = null;
  #reading: boolean = true;
  #writingPaused: boolean = false;
  #sending: Future<number> | null = null;

  constructor(world: World) {
    this.world = world;
    this.outgoing = new Outgoing(world.serial());
    this.chance = world.chanceOf(this.outgoing.key);
    this.#patience = this.chance.one([0, 1, 5, 30]);
    this.lost = world.loop.createFuture<void>();
  }

  get transport(): Transport | null {
    return this.#transport;
  }

  /** Takes the transport that startTls() answered: there is no `connectionMade` for it. */
  adopt(transport: Transport): void {
    this.#transport = transport;
  }

  abort(): void {
    if (this.exception === undefined) this.broken = true;
    this.#transport?.abort();
  }

  connectionMade(transport: Transport): void {
    if (this.#transport !== null) this.#fault('connectionMade() a second time');
    this.#transport = transport;
    this.act('made');
  }

  dataReceived(data: Buffer): void {
    if (data.length === 0) this.#fault('no bytes');
    if (!this.#reading) this.#fault('data while reading is paused');
    if (this.hadEof || this.exception !== undefined) this.#fault('data behind the end');
    this.incoming.take(data);
    if (this.incoming.fault !== null) this.#fault(this.incoming.fault);
    if (this.chance.once(100)) this.#transfer(data);
    this.act('data');
  }

  eofReceived(): boolean {
    if (this.hadEof || this.exception !== undefined) this.#fault('eofReceived() behind the end');
    this.hadEof = true;
    this.act('eof');
    return this.chance.of(2) === 0;
  }

  pauseWriting(): void {
    if (this.#writingPaused) this.#fault('pauseWriting() twice');
    this.#writingPaused = true;
    this.act('pause');
  }

  resumeWriting(): void {
    if (!this.#writingPaused) this.#fault('resumeWriting() without a pause');
    this.#writingPaused = false;
    this.act('resume');
  }

  connectionLost(exception: Error | null): void {
    if (this.exception !== undefined) this.#fault('connectionLost() twice');
    this.exception = exception;
    this.world.saw(exception === null ? 'lost' : 'lost by an error');
    this.lost.setResult(undefined);
  }

  act(told: string): void {
    this.world.saw(told);
    const transport = this.#transport;
    if (transport === null) return;
    this.#countFile();
    const action = this.chance.one(this.#actions());
    action(transport);
  }

  /** One of them is chosen: an action that stands here twice is twice as likely. */
  #actions(): Action[] {
    const write = this.#write;
    const actions: Action[] = [
      ...[write, write, write, write, write, write, this.#writelines, this.#writelines],
      ...[() => {}, () => {}, () => {}, this.#pause, this.#resume, this.#resume, this.#resume],
      ...[this.#limits, this.#handOver, this.#sendfile, this.#sendfile],
    ];
    if (this.#events++ < this.#patience) return actions;
    actions.push(this.#end, this.#end, this.#end, this.#abort);
    if (this.chance.once(4)) actions.push(this.#throw);
    return actions;
  }

  #canWrite(transport: Transport): boolean {
    return !transport.isClosing() && !this.endedInOrder && transport.getWriteBufferSize() < MOST_WAITING;
  }

  #write: Action = (transport) => {
    if (!this.#canWrite(transport)) return;
    if (this.#sending !== null) this.#mustRefuse(() => transport.write('in the middle of a file'));
    else this.#writeNext(transport);
  };

  #writeNext(transport: Transport): void {
    const data = this.outgoing.next(this.chance.one(SIZES));
    transport.write(data);
    // The bytes that have not left yet end the connection by EFAULT.
    if (this.chance.once(50))
      this.world.givenAway.push(structuredClone(data.buffer, { transfer: [data.buffer] }));
  }

  #writelines: Action = (transport) => {
    if (!this.#canWrite(transport)) return;
    if (this.#sending !== null) {
      this.#mustRefuse(() => transport.writelines(['in the middle', 'of a file']));
      return;
    }
    const count = 1 + this.chance.of(100);
    transport.writelines(Array.from({ length: count }, () => this.outgoing.next(1 + this.chance.of(500))));
  };

  #mustRefuse(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!(error instanceof InvalidStateError)) throw error;
      this.world.saw('writes refused');
      return;
    }
    this.#fault('a write was accepted while a file is being sent');
  }

  #pause: Action = (transport) => {
    transport.pauseReading();
    this.#reading = transport.isReading();
  };

  #resume: Action = (transport) => {
    transport.resumeReading();
    this.#reading = true;
  };

  #limits: Action = (transport) => {
    transport.setWriteBufferLimits({ high: this.chance.one([0, 1, 1000, 100_000, 1_000_000]) });
  };

  #handOver: Action = (transport) => {
    if (transport.isClosing()) return;
    transport.setProtocol(transport.getProtocol() === this ? new Buffered(this) : this);
  };

  #end: Action = (transport) => {
    const isFirst = !transport.isClosing() && !this.endedInOrder;
    if (this.chance.of(2) === 0 || !transport.canWriteEof()) {
      if (this.#sending !== null) this.broken = true;
      if (isFirst) this.endedInOrder = true;
      transport.close();
    } else if (this.#sending === null) {
      if (isFirst) this.endedInOrder = true;
      transport.writeEof();
    } else if (isFirst) {
      this.#mustRefuse(() => transport.writeEof());
    }
  };

  #abort: Action = () => this.abort();

  #throw: Action = () => {
    this.broken = true;
    throw new Planned();
  };

  /** Sends the piece of the file that comes next in its stream. */
  #sendfile: Action = (transport) => {
    if (!this.#canWrite(transport) || this.outgoing.sent === 0) return;
    const { loop, file } = this.world;
    const count = 1 + this.chance.of(MOST_FILE_BYTES);
    const offset = phaseOf(this.outgoing.key, this.outgoing.sent - HEADER_BYTES);
    if (this.#sending !== null) {
      this.#mustRefuse(() => void loop.sendfile(transport, file));
      return;
    }
    const sending = loop.sendfile(transport, file, { offset, count });
    this.#sending = sending;
    if (this.chance.once(4)) loop.callLater(this.chance.of(2000) / 1e6, () => sending.cancel());
    sending.addDoneCallback(() => this.#countFile());
  };

  /** Once the file is done with. */
  #countFile(): void {
    const sending = this.#sending;
    if (sending === null || !sending.done()) return;
    this.#sending = null;
    if (sending.cancelled() || sending.exception() !== null) {
      // How much of it has left is unknown.
      this.abort();
      return;
    }
    this.outgoing.sent += sending.result();
    this.world.saw('files');
  }

  /** Asks for memory that may be shared: the host copies or refuses. */
  #transfer(data: Buffer): void {
    try {
      structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
    } catch (error) {
      if ((error as Error).name !== 'DataCloneError') throw error;
    }
  }

  #fault(message: string): never {
    throw new Fault(`connection ${this.outgoing.key}: ${message}`);
  }
}

/** A program as a protocol that has memory of its own to read into. */
class Buffered implements BufferedProtocol {
  readonly #program: Program;
  #room: Uint8Array = new Uint8Array(0);

  constructor(program: Program) {
    this.#program = program;
  }

  getBuffer(): Uint8Array {
    const { chance } = this.#program;
    if (this.#room.length === 0 || chance.once(3)) this.#room = new Uint8Array(1 + chance.of(100_000));
    return this.#room;
  }

  bufferUpdated(length: number): void {
    this.#program.dataReceived(Buffer.from(this.#room.subarray(0, length)));
  }

  eofReceived(): boolean {
    return this.#program.eofReceived();
  }

  pauseWriting(): void {
    this.#program.pauseWriting();
  }

  resumeWriting(): void {
    this.#program.resumeWriting();
  }

  connectionLost(exception: Error | null): void {
    this.#program.connectionLost(exception);
  }
}
