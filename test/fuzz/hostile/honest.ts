/**
 * Two well-behaved ends beside all the others: each question must get its answer in time, whatever those do.
 */
import type { Server, Transport } from '../../../src/index.ts';
import { Protocol, sleep } from '../../../src/index.ts';
import { portOf } from '../../helpers/pairs.ts';
import { piece } from './content.ts';
import type { World } from './world.ts';
import { Fault } from './world.ts';

const HOST = '127.0.0.1';
const QUESTION_BYTES = 100;
/** Questions at least, however short the round is. */
const QUESTIONS = 20;

class Echo extends Protocol {
  #transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.#transport?.write(data);
  }
}

class Asker extends Protocol {
  readonly #world: World;
  #answer: Buffer = Buffer.alloc(0);
  #waiting: { setResult(value: undefined): void } | null = null;
  lost: boolean = false;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  async ask(transport: Transport, number: number): Promise<void> {
    const question = piece(7, number, QUESTION_BYTES);
    transport.write(question);
    while (this.#answer.length < QUESTION_BYTES && !this.lost) {
      const waiting = this.#world.loop.createFuture<undefined>();
      this.#waiting = waiting;
      await waiting;
    }
    if (!this.#answer.equals(question)) throw new Fault('an honest question got another answer, or none');
    this.#answer = Buffer.alloc(0);
  }

  override dataReceived(data: Buffer): void {
    this.#answer = Buffer.concat([this.#answer, data]);
    this.#wake();
  }

  override connectionLost(): void {
    this.lost = true;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.setResult(undefined);
  }
}

/** Asks until all others are done. */
export async function askHonestly(world: World, patience: number): Promise<void> {
  const { loop } = world;
  const server: Server = await loop.createServer(() => new Echo(), HOST, 0);
  const [transport, asker] = await loop.createConnection(() => new Asker(world), HOST, portOf(server));
  for (let number = 0; number < QUESTIONS || !world.over; number++) {
    const asked = loop.time();
    const late = loop.callLater(patience, () => {
      throw new Error(`starved: an honest question has had no answer for ${patience} seconds`);
    });
    await asker.ask(transport, number);
    late.cancel();
    world.saw(loop.time() - asked > 0.1 ? 'slow answers' : 'answers');
    await sleep(0.001);
  }
  transport.close();
  server.close();
  await server.waitClosed();
}
