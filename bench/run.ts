/**
 * `npm run bench`: every workload of list.ts, gyre and its peers in the same run.
 *
 * Rounds are interleaved (A B C A B C …), a process each, so that other load of the machine hits all alike. A
 * cell is the median over the rounds. Absolute figures belong to the machine; the ratios carry over.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { compileLoad, whyNoTls } from './compile.ts';
import { whyNotIdle } from './idle.ts';
import { WORKLOADS } from './list.ts';
import { savedFile, writePage } from './page.ts';
import { canRun } from './peers.ts';
import type { PeerResult, WorkloadResult } from './ratios.ts';
import { isGyre } from './ratios.ts';
import { cpuTable, summaryTable, verdictTable, workloadTable } from './report.ts';
import type { Tools } from './runner.ts';
import { canPin, measure } from './runner.ts';
import { findRuntimes } from './runtimes.ts';
import { merged, readSaved, writeSaved } from './saved.ts';
import type { Workload } from './workload.ts';
import { usesTls } from './workload.ts';

const ROUNDS = 3;

const USAGE = `npm run bench -- [options]
  --only a,b       these workloads only; a name, or what comes before its "-": echo means every echo-…
  --peers a,b      these peers only, named in the same way: ${knownPeers().join(', ')}
  --rounds n       rounds of processes (3, or fewer where a workload says so)
  --node path      the Node that runs gyre and Node's own API (this one)
  --python path    the Python that runs asyncio and uvloop (the system's, if it has uvloop)
  --bun path       the Bun (fetched from the npm registry)
  --json file      writes every round's figures
  --save           puts the figures into docs/performance/, and writes docs/performance.md with its pictures
  --page           writes the page anew from the saved figures, and measures nothing
  --list           prints the names of the workloads`;

const OPTIONS = {
  only: { type: 'string' },
  peers: { type: 'string' },
  rounds: { type: 'string' },
  node: { type: 'string', default: process.execPath },
  python: { type: 'string' },
  bun: { type: 'string' },
  json: { type: 'string' },
  save: { type: 'boolean', default: false },
  page: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** A wrong command line: the user gets a sentence, not a stack. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  if (options.list) return console.log(WORKLOADS.map(({ name, title }) => `${name}: ${title}`).join('\n'));

  if (options.page) return writePage();
  const rounds = options.rounds === undefined ? undefined : chosenRounds(options.rounds);
  const peers = chosenPeers(options.peers);
  let workloads = chosenWorkloads(options.only).filter((one) =>
    one.peers.some((peer) => peers.includes(peer)),
  );
  const needed = workloads.flatMap((one) => one.peers.filter((peer) => peers.includes(peer)));
  const runtimes = findRuntimes(options, needed);
  const nodeMajor = Number.parseInt(runtimes.nodeVersion.slice(1), 10);

  if (options.save) checkMachine(nodeMajor);

  const tools: Tools = { runtimes, generator: null, pinned: canPin() };
  const skipped = [...runtimes.missing];
  for (const workload of workloads.filter((one) => one.kind === 'idle')) {
    const reason = whyNotIdle(workload);
    if (reason === null) continue;
    skipped.push(`${workload.name} is skipped: ${reason}.`);
    workloads = workloads.filter((one) => one !== workload);
  }
  const reason = workloads.some(usesTls) ? whyNoTls() : null;
  if (reason !== null) {
    skipped.push(reason);
    workloads = workloads.filter((one) => !usesTls(one));
  }
  if (workloads.some(needsGenerator)) {
    const load = compileLoad();
    tools.generator = load.path;
    if (load.path === null) {
      skipped.push(`${load.reason} The network workloads are skipped.`);
      workloads = workloads.filter((workload) => !needsGenerator(workload));
    } else if (!tools.pinned) {
      skipped.push('Server and load generator are not pinned to a core each: expect noise.');
    }
  }

  const environment = environmentLine();
  console.log(`# gyre's benchmarks\n\n${environment}\n`);
  for (const sentence of skipped) console.log(`**${sentence}**\n`);

  const results: WorkloadResult[] = [];
  const versions = new Set<string>();
  for (const workload of workloads) {
    const result = await measureWorkload(workload, peers, tools, rounds ?? workload.rounds ?? ROUNDS);
    results.push(result);
    if (options.save) save(nodeMajor, result);
    for (const { rounds: each } of result.peers) for (const { runtime } of each) versions.add(runtime);
    console.log(`${workloadTable(result, nodeMajor)}\n`);
  }
  const ours = peers.filter((peer) => isGyre(peer) && needed.includes(peer));
  const tables = [
    ...ours.flatMap((gyre) => [summaryTable(results, gyre, nodeMajor), cpuTable(results, gyre, nodeMajor)]),
    verdictTable(results, nodeMajor),
  ];
  for (const table of tables.filter((one) => one !== '')) console.log(`${table}\n`);
  console.log(`Measured with: ${[...versions].join('; ')}. ${busyLine()}`);

  if (options.save) writePage();
  if (options.json !== undefined) {
    const figures = { environment, versions: [...versions], skipped, results };
    writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
  }
  if (results.some(({ peers }) => peers.some(({ failure }) => failure !== undefined))) process.exitCode = 1;
}

/** Figures of two machines cannot stand in one table. */
function checkMachine(nodeMajor: number): void {
  const file = savedFile(nodeMajor);
  const before = readSaved(file)?.machine ?? machine();
  if (before === machine()) return;
  throw new UsageError(
    `--save: ${file} comes from ${before}, and this is ${machine()}; remove it to begin anew`,
  );
}

/** After each workload, so that a run that is stopped has saved what it measured. */
function save(nodeMajor: number, result: WorkloadResult): void {
  const file = savedFile(nodeMajor);
  const day = new Date().toISOString().slice(0, 10);
  writeSaved(file, merged(readSaved(file), machine(), day, [result]));
}

async function measureWorkload(
  workload: Workload,
  wanted: readonly string[],
  tools: Tools,
  rounds: number,
): Promise<WorkloadResult> {
  const peers: PeerResult[] = workload.peers
    .filter((peer) => wanted.includes(peer) && canRun(peer, tools.runtimes))
    .map((peer) => ({ peer, rounds: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const result of peers) {
      if (result.failure !== undefined) continue;
      console.error(`${workload.name}, round ${round + 1} of ${rounds}: ${result.peer}`);
      try {
        result.rounds.push(await measure(workload, result.peer, tools));
      } catch (error) {
        result.failure = `failed: ${(error as Error).message}`;
      }
    }
  }
  return { workload, peers };
}

function readOptions(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'] {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function chosenRounds(asked: string): number {
  const rounds = Number(asked);
  if (Number.isInteger(rounds) && rounds > 0) return rounds;
  throw new UsageError(`--rounds ${asked}: must be a whole number above 0`);
}

function chosenWorkloads(only: string | undefined): Workload[] {
  if (only === undefined) return [...WORKLOADS];
  return only.split(',').flatMap((asked) => {
    const exact = WORKLOADS.filter(({ name }) => name === asked);
    const found = exact.length > 0 ? exact : WORKLOADS.filter(({ name }) => name.startsWith(`${asked}-`));
    if (found.length === 0) throw new UsageError(`--only ${asked}: no such workload; --list names them`);
    return found;
  });
}

function knownPeers(): string[] {
  return [...new Set(WORKLOADS.flatMap(({ peers }) => peers))];
}

function chosenPeers(asked: string | undefined): string[] {
  const known = knownPeers();
  if (asked === undefined) return known;
  const names = asked.split(',');
  const chosen = (peer: string): boolean =>
    names.some((name) => peer === name || peer.startsWith(`${name}-`));
  const unknown = names.find((name) => !known.some((peer) => peer === name || peer.startsWith(`${name}-`)));
  if (unknown !== undefined) throw new UsageError(`--peers ${unknown}: must be of ${known.join(', ')}`);
  return known.filter(chosen);
}

function needsGenerator({ kind }: Workload): boolean {
  return kind === 'network' || kind === 'bulk';
}

function environmentLine(): string {
  return `${new Date().toISOString().slice(0, 16)}Z on ${machine()}; rounds are interleaved. ${busyLine()}`;
}

function machine(): string {
  const cores = cpus();
  return `${cores.length} x ${cores[0]?.model ?? 'unknown CPU'}, ${process.platform} ${release().replace(/-.*/, '')}`;
}

/** Other programs that run at the same time make every figure here worthless. */
function busyLine(): string {
  return `Load average: ${(loadavg()[0] as number).toFixed(2)}.`;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
