/** A program of readers and writers: it reads with time limits, writes, and then closes, aborts or throws. */
import type { StreamReader, StreamWriter } from '../../../src/index.ts';
import { IncompleteReadError, TimeoutError, timeout } from '../../../src/index.ts';
import type { Chance } from '../../helpers/chance.ts';
import { Incoming, Outgoing } from './content.ts';
import type { World } from './world.ts';
import { Fault, Planned } from './world.ts';

const SIZES = [1, 10, 1000, 20_000, 200_000];

/** A handler for startServer(). */
export async function converse(world: World, reader: StreamReader, writer: StreamWriter): Promise<void> {
  const incoming = new Incoming();
  const outgoing = new Outgoing(world.serial());
  const chance = world.chanceOf(outgoing.key);
  world.saw('streams');
  try {
    for (let steps = chance.of(40); steps > 0 && !reader.atEof(); steps--) {
      const data = chance.of(2) === 0 ? await read(chance, reader) : null;
      if (data !== null) incoming.take(data);
      if (incoming.fault !== null) throw new Fault(`streams ${outgoing.key}: ${incoming.fault}`);
      if (chance.of(2) === 0 || writer.isClosing()) continue;
      writer.write(outgoing.next(chance.one(SIZES)));
      if (chance.of(2) === 0) await limited(chance, () => writer.drain());
    }
    if (chance.once(10)) throw new Planned();
  } catch (error) {
    if (error instanceof Fault || error instanceof Planned) throw error;
    // The peer has closed or reset the connection, as it may.
    world.saw('streams lost');
  } finally {
    if (chance.of(2) === 0) writer.close();
    else writer.transport.abort();
  }
}

/** Reads in a random way. Returns null after the time limit. */
async function read(chance: Chance, reader: StreamReader): Promise<Buffer | null> {
  if (chance.of(2) === 0) return limited(chance, () => reader.read(1 + chance.of(50_000)));
  try {
    return await limited(chance, () => reader.readexactly(1 + chance.of(5000)));
  } catch (error) {
    if (error instanceof IncompleteReadError) return error.partial;
    throw error;
  }
}

/** Gives `body` a random time limit, and returns null after it. No byte may be lost then. */
async function limited<T>(chance: Chance, body: () => PromiseLike<T>): Promise<T | null> {
  try {
    return await timeout(chance.of(20_000) / 1e6, async () => body());
  } catch (error) {
    if (error instanceof TimeoutError) return null;
    throw error;
  }
}
