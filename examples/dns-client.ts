/**
 * A DNS client over UDP: asks a name server, again if no answer comes, and accepts only answers to its own
 * questions.
 *
 *   $ node --import tsx examples/dns-client.ts example.org AAAA 9.9.9.9
 */

import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DatagramTransport, Future } from 'gyre';
import { DatagramProtocol, getRunningLoop, run, TimeoutError, waitFor } from 'gyre';

const TYPES = { A: 1, CNAME: 5, TXT: 16, AAAA: 28 } as const;
const CLASS_INTERNET = 1;
const RESPONSE = 0x8000;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const RCODE = 0x000f;
const HEADER_BYTES = 12;

export type RecordType = keyof typeof TYPES;

export interface DnsRecord {
  name: string;
  /** Seconds. */
  ttl: number;
  type: RecordType;
  data: string;
}

export interface DnsAnswer {
  records: DnsRecord[];
  /**
   * The TC bit: the answer was truncated, because a datagram of classic DNS has at most 512 bytes. A client
   * that needs the whole answer asks again over TCP, with `openConnection()` and a length of two bytes before
   * each message.
   */
  truncated: boolean;
}

/** The server has answered, and the answer is no: 3 means that there is no such name. */
export class DnsError extends Error {
  override readonly name = 'DnsError';
  readonly rcode: number;

  constructor(host: string, rcode: number) {
    super(
      rcode === 3 ? `there is no name ${host}` : `the server could not answer for ${host}: rcode ${rcode}`,
    );
    this.rcode = rcode;
  }
}

export interface ResolveOptions {
  /** The number of attempts before the question fails. Default: 3. */
  attempts?: number;
  /** The seconds to wait for an answer, for each attempt. Default: 2. */
  seconds?: number;
}

/** The question, to compare with that of an answer. */
interface Question {
  host: string;
  type: RecordType;
  answer: Future<DnsAnswer>;
}

export class DnsClient extends DatagramProtocol implements AsyncDisposable {
  #transport: DatagramTransport | null = null;
  readonly #questions = new Map<number, Question>();

  /** The endpoint is connected: the kernel drops datagrams of others, and reports a port without a server. */
  static async open(server: string, port: number = 53): Promise<DnsClient> {
    const remoteAddr = [server, port] as const;
    const [, client] = await getRunningLoop().createDatagramEndpoint(() => new DnsClient(), { remoteAddr });
    return client;
  }

  /** @throws DnsError, TimeoutError, or the system's error: `ECONNREFUSED` */
  async resolve(host: string, type: RecordType = 'A', options: ResolveOptions = {}): Promise<DnsAnswer> {
    const { attempts = 3, seconds = 2 } = options;
    for (let attempt = 1; ; attempt++) {
      const id = this.#freeId();
      const question = { host, type, answer: getRunningLoop().createFuture<DnsAnswer>() };
      this.#questions.set(id, question);
      try {
        this.#transport?.sendto(encodeQuery(id, host, type));
        return await waitFor(question.answer, seconds);
      } catch (error) {
        // Datagrams get lost silently, so the client asks again.
        if (!(error instanceof TimeoutError) || attempt >= attempts) throw error;
      } finally {
        this.#questions.delete(id);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport?.[Symbol.asyncDispose]();
  }

  override connectionMade(transport: DatagramTransport): void {
    this.#transport = transport;
  }

  override datagramReceived(data: Buffer): void {
    let message: Message;
    try {
      message = decode(data);
    } catch {
      // A malformed or forged answer: the true one may still come.
      return;
    }
    const question = this.#questions.get(message.id);
    if (question === undefined || question.answer.done() || !isAnswerTo(question, message)) return;
    const rcode = message.flags & RCODE;
    if (rcode !== 0) question.answer.setException(new DnsError(question.host, rcode));
    else
      question.answer.setResult({ records: message.records, truncated: (message.flags & TRUNCATED) !== 0 });
  }

  override errorReceived(error: Error): void {
    for (const { answer } of this.#questions.values()) if (!answer.done()) answer.setException(error);
  }

  override connectionLost(error: Error | null): void {
    this.errorReceived(error ?? new Error('the DNS client was closed'));
  }

  /** A random id: with the id and the port an attacker could forge an answer. */
  #freeId(): number {
    for (;;) {
      const id = randomInt(0x10000);
      if (!this.#questions.has(id)) return id;
    }
  }
}

// --- messages: RFC 1035, section 4 ---

export interface Message {
  id: number;
  flags: number;
  host: string;
  type: number;
  records: DnsRecord[];
}

export function encodeQuery(id: number, host: string, type: RecordType): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(RECURSION_DESIRED, 2);
  header.writeUInt16BE(1, 4);
  const question = Buffer.alloc(4);
  question.writeUInt16BE(TYPES[type], 0);
  question.writeUInt16BE(CLASS_INTERNET, 2);
  return Buffer.concat([header, encodeName(host), question]);
}

export function encodeName(host: string): Buffer {
  const parts: Buffer[] = [];
  for (const label of host.replace(/\.$/, '').split('.')) {
    const bytes = Buffer.from(label);
    if (bytes.length === 0 || bytes.length > 63) throw new RangeError(`no name of the DNS: ${host}`);
    parts.push(Buffer.from([bytes.length]), bytes);
  }
  const name = Buffer.concat([...parts, Buffer.from([0])]);
  if (name.length > 255) throw new RangeError(`no name of the DNS: ${host}`);
  return name;
}

/** @throws RangeError for anything but a message with one question */
export function decode(data: Buffer): Message {
  if (data.readUInt16BE(4) !== 1) throw new RangeError('a message with one question was expected');
  const question = readName(data, HEADER_BYTES);
  const type = data.readUInt16BE(question.end);
  const message: Message = {
    id: data.readUInt16BE(0),
    flags: data.readUInt16BE(2),
    host: question.name,
    type,
    records: [],
  };
  let offset = question.end + 4;
  for (let left = data.readUInt16BE(6); left > 0; left--) {
    const { name, end } = readName(data, offset);
    const length = data.readUInt16BE(end + 8);
    const start = end + 10;
    offset = start + length;
    if (offset > data.length) throw new RangeError('a record is longer than its message');
    const known = (Object.keys(TYPES) as RecordType[]).find((one) => TYPES[one] === data.readUInt16BE(end));
    if (known === undefined) continue;
    const ttl = data.readUInt32BE(end + 4);
    message.records.push({ name, ttl, type: known, data: readData(data, known, start, length) });
  }
  return message;
}

/** A name may end with a pointer to an earlier one. Each pointer must go back, so that there is no cycle. */
function readName(data: Buffer, offset: number): { name: string; end: number } {
  const labels: string[] = [];
  let end = -1;
  for (let at = offset, before = offset; ; ) {
    const length = data.readUInt8(at);
    if (length === 0) return { name: labels.join('.'), end: end < 0 ? at + 1 : end };
    if (length >= 0xc0) {
      const target = data.readUInt16BE(at) & 0x3fff;
      if (target >= before) throw new RangeError('a pointer that does not go back');
      if (end < 0) end = at + 2;
      at = target;
      before = target;
      continue;
    }
    if (length > 63 || at + 1 + length > data.length) throw new RangeError('a label without its end');
    labels.push(data.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
}

function readData(data: Buffer, type: RecordType, start: number, length: number): string {
  const bytes = data.subarray(start, start + length);
  switch (type) {
    case 'A':
      if (length !== 4) throw new RangeError('an address of another length');
      return bytes.join('.');
    case 'AAAA':
      if (length !== 16) throw new RangeError('an address of another length');
      return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
    case 'CNAME':
      return readName(data, start).name;
    case 'TXT': {
      const texts: string[] = [];
      for (let at = 0; at < length; at += 1 + (bytes[at] as number)) {
        texts.push(bytes.toString('utf8', at + 1, at + 1 + (bytes[at] as number)));
      }
      return texts.join('');
    }
  }
}

/** The id alone has 16 bits: the question must have come back, too. */
function isAnswerTo({ host, type }: Question, message: Message): boolean {
  const asked = host.replace(/\.$/, '').toLowerCase();
  return (
    (message.flags & RESPONSE) !== 0 && message.type === TYPES[type] && message.host.toLowerCase() === asked
  );
}

// --- the program ---

async function main(host: string, type: string, server: string, port: string): Promise<void> {
  if (!Object.hasOwn(TYPES, type))
    throw new RangeError(`a type of ${Object.keys(TYPES)} was expected: ${type}`);
  await using client = await DnsClient.open(server, Number(port));
  const { records, truncated } = await client.resolve(host, type as RecordType);
  for (const record of records) console.log(`${record.name} ${record.ttl} ${record.type} ${record.data}`);
  if (truncated) console.log('; the answer was cut: the rest is to be had over TCP');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [host = 'example.org', type = 'A', server = '9.9.9.9', port = '53'] = process.argv.slice(2);
  await run(() => main(host, type, server, port));
}
