/**
 * A line chat over TCP, by protocol: each line goes to everybody else. The first line is the name.
 *
 *   $ npm start -- --serve
 *   $ nc 127.0.0.1 4000
 */

import type { Transport } from 'gyre';
import { Protocol } from 'gyre';

/** Bytes. A line that grows beyond this closes the connection, because a peer must not fill our memory. */
const LONGEST_LINE = 4096;

/** The clients with a name. */
export class ChatRoom {
  readonly #members: Set<ChatMember> = new Set();
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  get size(): number {
    return this.#members.size;
  }

  enter(member: ChatMember): void {
    this.say(`* ${member.name} came in`, null);
    this.#members.add(member);
  }

  leave(member: ChatMember): void {
    if (this.#members.delete(member)) this.say(`* ${member.name} went out`, member);
  }

  /** Sends a line to everybody but its author. */
  say(line: string, from: ChatMember | null): void {
    this.#log(line);
    for (const member of this.#members) if (member !== from) member.send(line);
  }

  closeAll(): void {
    for (const member of this.#members) member.send('* the server is closing');
  }
}

/** One connection of the chat server. */
export class ChatMember extends Protocol {
  name = '';
  readonly #room: ChatRoom;
  #transport: Transport | null = null;
  #unfinished = '';

  constructor(room: ChatRoom) {
    super();
    this.#room = room;
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.send('* your name?');
  }

  override dataReceived(data: Buffer): void {
    const lines = (this.#unfinished + data.toString()).split('\n');
    this.#unfinished = lines.pop() ?? '';
    for (const line of lines) this.#lineReceived(line.trim());
    if (this.#unfinished.length > LONGEST_LINE) this.#transport?.abort();
  }

  override connectionLost(): void {
    this.#room.leave(this);
  }

  send(line: string): void {
    this.#transport?.write(`${line}\n`);
  }

  #lineReceived(line: string): void {
    if (line === '') return;
    if (this.name !== '') {
      this.#room.say(`${this.name}: ${line}`, this);
      return;
    }
    this.name = line;
    this.#room.enter(this);
  }
}
