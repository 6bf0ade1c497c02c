/**
 * Runs rounds of hostile peers against programs of ours, until the time is up or a fault was found.
 * scripts/fuzz.mjs starts and watches this process. It prints lines of JSON: the seed of each round, a sign
 * of life, a fault.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import type { BaseEventLoop } from '../../../src/index.ts';
import { NodeEventLoop, sleep, UvEventLoop } from '../../../src/index.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import type { Held } from '../handles.ts';
import { held } from '../handles.ts';
import { askHonestly } from './honest.ts';
import { judge } from './judge.ts';
import { KINDS } from './kinds.ts';
import { Planned, World } from './world.ts';

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'node' },
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    /** The same round again and again. */
    again: { type: 'boolean', default: false },
    kinds: { type: 'string', default: '' },
    /** Seconds after which a question is starved, a loop is stuck, and an open descriptor is left behind. */
    patience: { type: 'string', default: '20' },
  },
});

const kinds = values.kinds === '' ? Object.keys(KINDS) : values.kinds.split(',');
const patience = Number(values.patience);
const isNative = values.backend === 'uv';
/** Milliseconds between signs of life. */
const BEAT = 250;

let seed = Number(values.seed);
let lastTurn = performance.now();
let roundBegan = performance.now();
const seen = new Map<string, number>();

function tell(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function fault(message: string): never {
  tell({ fault: message });
  process.exit(1);
}

function whatIsOpen(): string {
  return Array.from(loop._owned.resources, (owned) => owned._describe()).join(', ');
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack}${error.cause === undefined ? '' : `\n  cause: ${textOf(error.cause)}`}`;
}

for (const kind of kinds)
  if (KINDS[kind] === undefined) fault(`no kind is called ${kind}: ${Object.keys(KINDS)}`);
process.on('uncaughtException', (error) => fault(`uncaught: ${textOf(error)}`));
process.on('warning', (warning) => {
  // Memory that grows, listeners that stay.
  if (warning.name === 'MaxListenersExceededWarning') fault(`warned: ${textOf(warning)}`);
});

// biome-ignore lint/style/noRestrictedGlobals: the host's timer comes also when the loop is stuck
setInterval(() => {
  if (performance.now() - lastTurn > patience * 1000)
    fault(`the loop has had no turn for ${patience} seconds`);
  if (performance.now() - roundBegan > 2 * patience * 1000)
    fault(`the round has not ended in ${2 * patience} seconds: ${whatIsOpen()}`);
  tell({ beat: true });
}, BEAT).unref();

function openLoop(): BaseEventLoop {
  const loop = isNative ? new UvEventLoop() : new NodeEventLoop();
  loop.setExceptionHandler((_loop, { message, exception }) => {
    if (!(exception instanceof Planned)) fault(`reported: ${message}: ${textOf(exception)}`);
  });
  return loop;
}

async function round(world: World): Promise<void> {
  const { loop, chance } = world;
  const chosen = Array.from({ length: 1 + chance.of(2) }, () => chance.one(kinds));
  tell({ seed, kinds: chosen });
  const honest = loop.createTask(() => askHonestly(world, patience));
  const turns = loop.createTask(async () => {
    for (; !world.over; await sleep(0.05)) lastTurn = performance.now();
  });
  const meetings = chosen.map((kind) => loop.createTask(async () => KINDS[kind]?.(world)));
  const met = [];
  for (const meeting of meetings) met.push(await meeting);
  world.over = true;
  await honest;
  await turns;
  for (const meeting of met) if (meeting !== undefined) judge(world, meeting);
}

/** Runs a round; a third of them on a loop that stops now and then. */
async function runRound(loop: BaseEventLoop): Promise<void> {
  const world = new World(loop, seed);
  const { chance } = world;
  const isStopped = chance.once(3);
  const running = loop.createTask(() => round(world));
  while (isStopped && !running.done()) {
    await loop.runUntilComplete(() => sleep(chance.of(20_000) / 1e6));
    for (let i = chance.of(4); i > 0; i--) await hostPass();
  }
  await loop.runUntilComplete(running);
  for (const [event, times] of world.seen) seen.set(event, (seen.get(event) ?? 0) + times);
  world.remove();
}

/** Waits for the system to close what the round opened. */
async function untilNothingIsLeft(loop: BaseEventLoop, before: Held): Promise<void> {
  const began = performance.now();
  for (;;) {
    lastTurn = performance.now();
    const { descriptors, children } = held();
    const resources = loop._owned.resources.size;
    const handles = isNative ? addon().openCount() : 0;
    const isClosed = descriptors <= before.descriptors && children <= before.children;
    if (isClosed && resources === 0 && handles === 0) return;
    if (lastTurn - began > patience * 1000)
      fault(`left behind: ${JSON.stringify({ before, descriptors, children, handles })} ${whatIsOpen()}`);
    // Transports hear of their end while the loop runs.
    await loop.runUntilComplete(() => sleep(0.001));
  }
}

/** libuv opens a spare descriptor with its first stream, and keeps it. A round of datagrams has no stream. */
async function openWhatLibuvKeeps(): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

const loop = openLoop();
await openWhatLibuvKeeps();
// The loop, Node and TLS keep descriptors that they open once: the first round counts none.
let before: Held | null = null;
const end = performance.now() + Number(values.seconds) * 1000;
do {
  lastTurn = roundBegan = performance.now();
  await runRound(loop);
  before ??= held();
  await untilNothingIsLeft(loop, before);
  if (!values.again) seed++;
} while (performance.now() < end);
loop.close();
tell({ done: Object.fromEntries([...seen].sort(([a], [b]) => a.localeCompare(b))) });
process.exit(0);
