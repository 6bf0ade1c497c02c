/** A library that stores functions at load, and a simulation that uses it. Prints what it sees. */
import 'gyre/sim/register';
import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { simulate } from 'gyre/sim';

const { now } = Date;
const { random } = Math;
const { hrtime } = process;

async function seen(): Promise<unknown[]> {
  return [now(), random(), randomUUID(), hrtime(), await lookup('localhost').then(({ address }) => address)];
}

const before = await seen();
const worlds: unknown[] = [];
for (let run = 0; run < 2; run++) {
  await simulate({ seed: 5 }, async (world) => {
    worlds.push(await world.host('host').run(seen));
  });
}
console.log(JSON.stringify({ before, worlds, after: await seen() }));
