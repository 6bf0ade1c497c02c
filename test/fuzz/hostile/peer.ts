/**
 * A hostile peer: a socket of Node's that splits, stalls, floods, half-closes, resets and talks nonsense. It
 * checks the bytes that it receives.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Chance } from '../../helpers/chance.ts';
import { Incoming, Outgoing } from './content.ts';
import type { World } from './world.ts';

const SIZES = [1, 3, 100, 5000, 70_000, 400_000];
/** Bytes that wait at most. */
const MOST_WAITING = 1_000_000;

/** The actions of a peer: one that stands there twice is twice as likely. */
const MOODS = {
  restless: [
    ...(['write', 'write', 'write', 'pause', 'resume', 'resume', 'wait', 'wait'] as const),
    ...(['end', 'reset', 'destroy', 'renegotiate', 'garble', 'cut'] as const),
  ],
  flooding: ['write', 'write', 'write', 'write', 'write', 'write', 'resume', 'wait'],
  splitting: ['split', 'split', 'split', 'wait', 'resume', 'end'],
  stalling: ['pause', 'wait', 'wait', 'wait', 'split'],
  silent: ['wait'],
  halfClosed: ['write', 'end', 'wait', 'wait', 'wait', 'resume'],
  hasty: ['write', 'end', 'destroy', 'reset', 'cut'],
  malicious: ['write', 'wait', 'wait', 'wait', 'garble', 'renegotiate', 'cut'],
} as const;

type Action = (typeof MOODS)[keyof typeof MOODS][number];

export class Peer {
  readonly chance: Chance;
  readonly socket: Socket;
  /** Beneath TLS; without TLS, the socket itself. */
  readonly wire: Socket;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming = new Incoming();
  /** It will send no more. */
  ended: boolean = false;
  /** The system has all that it sent. */
  flushed: boolean = false;
  /** It has closed before the other side's end came. With something unread, the system sends a reset. */
  closedEarly: boolean = false;
  /** The other side's end came, behind all that it sent. */
  hadEnd: boolean = false;
  readonly closed: Promise<void>;
  /**
   * It has sent what is no TLS, renegotiated, or cut the connection beneath TLS: how much came is unknown.
   */
  spoilt: boolean = false;
  readonly #mood: readonly Action[];
  #timer: NodeJS.Timeout | null = null;

  constructor(world: World, socket: Socket, wire: Socket = socket) {
    this.socket = socket;
    this.wire = wire;
    this.outgoing = new Outgoing(world.serial());
    this.chance = world.chanceOf(this.outgoing.key);
    const mood = this.chance.one(Object.keys(MOODS)) as keyof typeof MOODS;
    world.saw(mood);
    this.#mood = MOODS[mood];
    // A renegotiation that never ends keeps its listener, and this peer may begin many.
    socket.setMaxListeners(0);
    socket.on('error', () => {});
    socket.on('finish', () => {
      this.flushed = true;
    });
    socket.on('data', (data) => {
      this.incoming.take(data);
    });
    socket.on('end', () => {
      this.hadEnd = true;
      // One that never ends holds its connection half open.
      if (this.chance.of(2) === 0) this.#end();
    });
    this.closed = new Promise((resolve) => {
      wire.once('close', () => {
        if (this.#timer !== null) clearTimeout(this.#timer);
        resolve();
      });
    });
  }

  /** Until it is closed: at the latest when its time is over. */
  async run(): Promise<void> {
    // biome-ignore lint/style/noRestrictedGlobals: a peer lives in the host, whatever the loop does
    const life = setTimeout(() => this.stop(), this.chance.one([1, 20, 100, 300]));
    // Not at once: before Node 26 a TLS socket that is ended as soon as it is there loses what comes first.
    this.#later();
    await this.closed;
    clearTimeout(life);
  }

  stop(): void {
    if (!this.hadEnd) this.closedEarly = true;
    this.socket.destroy();
    // Node forgets the wire of a TLS socket that was ended.
    this.wire.destroy();
  }

  #step = (): void => {
    if (this.socket.destroyed || this.wire.destroyed) return;
    this.#act(this.chance.one(this.#mood));
    this.#later();
  };

  #later(): void {
    // biome-ignore lint/style/noRestrictedGlobals: as above
    this.#timer = setTimeout(this.#step, this.chance.one([0, 0, 0, 1, 3]));
  }

  #act(action: Action): void {
    const { socket, chance } = this;
    switch (action) {
      case 'write':
        this.#write(chance.one(SIZES));
        return;
      case 'split':
        for (let i = chance.of(5); i >= 0; i--) this.#write(1 + chance.of(3));
        return;
      case 'pause':
        socket.pause();
        return;
      case 'resume':
        socket.resume();
        return;
      case 'end':
        this.#end();
        return;
      case 'reset':
        if (this.#hasTls() || socket.connecting) socket.destroy();
        else this.#reset();
        return;
      case 'destroy':
        this.stop();
        return;
      case 'renegotiate':
      case 'garble':
      case 'cut':
        if (this.#hasTls()) this.#spoil(action);
    }
  }

  #hasTls(): boolean {
    return this.wire !== this.socket;
  }

  /** Breaks TLS: such a connection may end in any way, but no wrong byte comes out of it. */
  #spoil(how: 'renegotiate' | 'garble' | 'cut'): void {
    const { chance, wire } = this;
    if (wire.destroyed || wire.connecting) return;
    this.spoilt = true;
    if (how === 'renegotiate')
      (this.socket as TLSSocket).renegotiate({ rejectUnauthorized: false }, () => {});
    // Node loses the 'close' of a wire that is reset beneath TLS.
    else if (how === 'cut') chance.of(2) === 0 ? wire.end() : wire.destroy();
    else wire.write(Buffer.from(Array.from({ length: 1 + chance.of(300) }, () => chance.of(256))));
  }

  #write(length: number): void {
    const { socket } = this;
    if (socket.writable && !this.ended && socket.writableLength < MOST_WAITING)
      socket.write(this.outgoing.next(length));
  }

  #end(): void {
    if (this.ended || !this.socket.writable) return;
    this.ended = true;
    this.socket.end();
  }

  #reset(): void {
    // The system drops what it has not sent yet.
    this.flushed = false;
    try {
      this.socket.resetAndDestroy();
    } catch {
      // A unix socket has no RST.
      this.socket.destroy();
    }
  }
}
