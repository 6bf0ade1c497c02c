/** Runs one program or one server with its load, once, and brings back its figures. */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { NetworkWorkload, Workload } from './list.ts';
import type { Announcement, Measurement } from './measure.ts';
import type { Command } from './peers.ts';

/** Long enough for the slowest peer's slowest workload, several times over. */
const TIME_LIMIT_SECONDS = 180;
const WARM_UP_SECONDS = 0.5;
const MEASURED_SECONDS = 1.5;

/** What the network workloads need besides their peers. */
export interface LoadTools {
  generator: string;
  /** Server and generator each have a core of their own. */
  pinned: boolean;
}

/** What load/load.c prints. */
interface LoadFigures {
  perSecond: number;
  serverCpuMicroseconds: number;
  p50: number;
  p99: number;
  serverBusy: number;
  generatorBusy: number;
}

/** Compiles the load generator into `folder`; answers a sentence where that cannot be done. */
export function prepareLoad(source: string, folder: string): LoadTools | string {
  if (process.platform !== 'linux') return 'The load generator is for Linux (epoll).';
  const generator = join(folder, 'load');
  const compiler = ['cc', 'gcc', 'clang'].find((name) => succeeds(name, ['--version']));
  if (compiler === undefined) return 'There is no C compiler (cc, gcc or clang) for the load generator.';
  execFileSync(compiler, ['-O2', '-Wall', '-o', generator, source], { stdio: 'inherit' });
  const pinned =
    availableParallelism() > 1 && ['0', '1'].every((core) => succeeds('taskset', ['-c', core, 'true']));
  return { generator, pinned };
}

export function measure(workload: Workload, command: Command, load: LoadTools | null): Promise<Measurement> {
  if (workload.kind === 'process') return measureProgram(command);
  if (load === null) throw new Error('a network workload needs the load generator');
  return measureServer(workload, command, load);
}

async function measureProgram(command: Command): Promise<Measurement> {
  const program = start(command);
  const [line] = await Promise.all([firstLine<Measurement>(program), ended(program)]);
  return line;
}

async function measureServer(
  workload: NetworkWorkload,
  command: Command,
  load: LoadTools,
): Promise<Measurement> {
  const server = start(load.pinned ? pinTo(0, command) : command);
  const serverEnded = ended(server);
  serverEnded.catch(() => {}); // looked at below, whatever comes first
  try {
    const { port, runtime } = await firstLine<Announcement>(server);
    const args = [
      workload.mode,
      port,
      server.pid,
      workload.connections,
      workload.messageBytes,
      workload.depth,
    ];
    const generator = {
      file: load.generator,
      args: [...args, WARM_UP_SECONDS, MEASURED_SECONDS].map(String),
    };
    const client = start(load.pinned ? pinTo(1, generator) : generator);
    const [figures] = await Promise.all([firstLine<LoadFigures>(client), ended(client)]);
    const details = {
      'server CPU us': figures.serverCpuMicroseconds,
      'p50 us': figures.p50,
      'p99 us': figures.p99,
      'server busy %': figures.serverBusy * 100,
      'generator busy %': figures.generatorBusy * 100,
    };
    return { value: figures.perSecond, details, runtime };
  } finally {
    server.stdin?.end(); // to a server this means: go
    await serverEnded;
  }
}

function pinTo(core: number, command: Command): Command {
  return { file: 'taskset', args: ['-c', String(core), command.file, ...command.args] };
}

function start(command: Command): ChildProcess {
  return spawn(command.file, command.args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: TIME_LIMIT_SECONDS * 1000,
    killSignal: 'SIGKILL',
  });
}

async function firstLine<T>(child: ChildProcess): Promise<T> {
  if (child.stdout === null) throw new Error('no standard output to read');
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as T;
  throw new Error('the program printed nothing');
}

async function ended(child: ChildProcess): Promise<void> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`the program ended with ${signal ?? `status ${code}`}`);
}

function succeeds(file: string, args: readonly string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
