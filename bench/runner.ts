/** Runs one program or one server with its load, once, and brings back its figures. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Announcement } from './announce.ts';
import { Child } from './child.ts';
import { measureIdle } from './idle.ts';
import type { Figures, Measurement } from './measure.ts';
import { commandOf } from './peers.ts';
import type { Runtimes } from './runtimes.ts';
import { measureStart, modulesOfGyre } from './start.ts';
import { succeeds } from './succeeds.ts';
import type { BulkWorkload, NetworkWorkload, StartWorkload, Workload } from './workload.ts';
import { usesTls } from './workload.ts';

/** Arguments of a server for TLS: this file runs as bench/results/build/runner.js. */
const CERTIFICATE: readonly string[] = ['server.pem', 'server-key.pem'].map((name) =>
  join(import.meta.dirname, '..', '..', '..', 'test', 'helpers', 'certificates', name),
);

const WARM_UP_SECONDS = 0.4;
const MEASURED_SECONDS = 0.8;

export interface Tools {
  runtimes: Runtimes;
  /** The load generator; null where no workload needs it. */
  generator: string | null;
  /** Server and generator each have a core of their own. */
  pinned: boolean;
}

export function canPin(): boolean {
  return availableParallelism() > 1 && ['0', '1'].every((core) => succeeds('taskset', ['-c', core, 'true']));
}

export function measure(workload: Workload, peer: string, tools: Tools): Promise<Measurement> {
  switch (workload.kind) {
    case 'process':
      return measureProgram(workload, peer, [workload.operations, ...(workload.sizes ?? [])], tools);
    case 'start':
      return measureImport(workload, peer, tools);
    case 'network':
      return withUnixPath(workload.unix === true, (path) =>
        measureServer(workload, peer, path, tools, (server, port) =>
          generate(workload, server, path ?? port, tools),
        ),
      );
    case 'bulk':
      return measureServer(workload, peer, null, tools, (server, port) =>
        generate(workload, server, port, tools),
      );
    case 'idle':
      return measureServer(workload, peer, null, tools, (server, port) =>
        measureIdle(workload, server, port),
      );
  }
}

async function measureProgram(
  workload: Workload,
  peer: string,
  numbers: readonly number[],
  { runtimes }: Tools,
): Promise<Measurement> {
  const command = commandOf(workload, peer, numbers.map(String), runtimes);
  const program = new Child(command, null);
  const [line] = await Promise.all([program.nextLine<Measurement>(), program.ended]);
  return line;
}

async function measureImport(
  workload: StartWorkload,
  peer: string,
  { runtimes }: Tools,
): Promise<Measurement> {
  const modules = peer === 'node' ? modulesOfGyre(runtimes.node) : [];
  const figures = measureStart(commandOf(workload, peer, modules, runtimes), workload.unit);
  return { ...figures, runtime: `Node ${runtimes.nodeVersion}` };
}

/** @param unixPath the path to listen on; null: a port of its own choice */
async function measureServer(
  workload: Workload,
  peer: string,
  unixPath: string | null,
  { runtimes, pinned }: Tools,
  load: (server: Child, port: number) => Promise<Figures>,
): Promise<Measurement> {
  const args = usesTls(workload) ? CERTIFICATE : unixPath === null ? [] : [unixPath];
  const command = commandOf(workload, peer, args, runtimes);
  const server = new Child(command, pinned ? 0 : null);
  try {
    const { port, runtime } = await server.nextLine<Announcement>();
    return { ...(await load(server, port)), runtime };
  } finally {
    server.endInput();
    await server.ended;
  }
}

async function generate(
  workload: NetworkWorkload | BulkWorkload,
  server: Child,
  address: number | string,
  { generator, pinned }: Tools,
): Promise<Figures> {
  if (generator === null) throw new Error('there is no load generator');
  const args =
    workload.kind === 'bulk'
      ? ['bulk', address, server.pid, workload.writeBytes, workload.warmUpWrites, workload.measuredWrites]
      : [
          ...[workload.mode, address, server.pid, workload.connections, workload.messageBytes],
          ...[workload.depth, WARM_UP_SECONDS, MEASURED_SECONDS],
        ];
  const client = new Child({ file: generator, args: args.map(String), env: {} }, pinned ? 1 : null);
  const [figures] = await Promise.all([client.nextLine<Figures>(), client.ended]);
  return figures;
}

/**
 * Runs `body` with a path for a socket if it needs one, in a folder of its own that is removed afterwards.
 */
async function withUnixPath<T>(wanted: boolean, use: (path: string | null) => Promise<T>): Promise<T> {
  if (!wanted) return use(null);
  const folder = mkdtempSync(join(tmpdir(), 'gyre-bench-'));
  try {
    return await use(join(folder, 'socket'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
