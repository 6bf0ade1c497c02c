/** A name server for one test: answers from a table, and ignores some questions. */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';

const TYPES = { A: 1, CNAME: 5, PTR: 12, AAAA: 28 } as const;
const OK = 0x8580;
const SERVER_FAILED = 0x8182;
const NO_SUCH_NAME = 0x8583;

type Type = keyof typeof TYPES;
/**
 * The table, by lower-case name. `mute`: never answers, also for one type of question only. `broken`: answers
 * that the server failed.
 */
export type Names = Record<string, Partial<Record<Type, string>> | 'mute' | 'broken'>;

export class FakeDns {
  /** `A a.example`, in order. */
  readonly asked: string[] = [];
  readonly #names: Names;
  readonly #socket: Socket = createSocket('udp4');

  constructor(names: Names) {
    this.#names = names;
    this.#socket.on('message', (message, { port, address }) => {
      const answer = this.#answer(message);
      if (answer !== null) this.#socket.send(answer, port, address);
    });
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.bind(port, '127.0.0.1', resolve);
    });
  }

  close(): void {
    this.#socket.close();
  }

  #answer(message: Buffer): Buffer | null {
    const { name, type, end } = question(message);
    const word = Object.entries(TYPES).find(([, number]) => number === type)?.[0] as Type | undefined;
    this.asked.push(`${word ?? type} ${name}`);
    const entry = this.#names[name];
    if (entry === 'mute' || (typeof entry === 'object' && word && entry[word] === 'mute')) return null;
    const head = (flags: number, answers: number): Buffer => {
      const header = Buffer.from(message.subarray(0, end));
      header.writeUInt16BE(flags, 2);
      header.writeUInt16BE(1, 4);
      header.writeUInt16BE(answers, 6);
      // Ends before the records of EDNS, which follow the question.
      header.writeUInt32BE(0, 8);
      return header;
    };
    if (entry === undefined) return head(NO_SUCH_NAME, 0);
    if (entry === 'broken') return head(SERVER_FAILED, 0);
    const records = this.#records(name, word);
    return Buffer.concat([head(OK, records.length), ...records]);
  }

  /** Answers as a server that knows all names: aliases, and the records at their end. */
  #records(name: string, type: Type | undefined): Buffer[] {
    const entry = this.#names[name];
    if (type === undefined || typeof entry !== 'object') return [];
    if (entry.CNAME !== undefined && entry.CNAME !== 'mute') {
      const rest = type === 'CNAME' ? [] : this.#records(entry.CNAME, type);
      return [record(name, 'CNAME', entry.CNAME), ...rest];
    }
    const value = entry[type];
    return value === undefined ? [] : [record(name, type, value)];
  }
}

function question(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] as number; length > 0; length = message[at] as number) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 };
}

function record(name: string, type: Type, value: string): Buffer {
  const data = encoded(type, value);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([labelled(name), fixed, data]);
}

function encoded(type: Type, value: string): Buffer {
  switch (type) {
    case 'A':
      return Buffer.from(value.split('.').map(Number));
    case 'AAAA': {
      const bytes = Buffer.alloc(16);
      // The tables of the tests write all groups out.
      for (const [i, group] of value.split(':').entries())
        bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
      return bytes;
    }
    default:
      return labelled(value);
  }
}

function labelled(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
