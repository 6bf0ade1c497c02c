/**
 * Opens Node's inspector in another process, without a flag at its start: Node listens for debuggers when it
 * receives `SIGUSR1`. The port is found in `/proc`, so no socket of the program itself is ever touched.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { getRunningLoop, sleep } from '../../index.ts';
import { Problem } from '../problem.ts';
import type { ListeningSocket, ProcessFacts } from './process-facts.ts';
import { listeningSockets, processFacts } from './process-facts.ts';

export interface Inspector {
  readonly pid: number;
  /** The address of the main thread for a WebSocket. */
  readonly url: string;
  readonly port: number;
  /** Whether it was open before this call. */
  readonly wasOpen: boolean;
}

/** The advice where the inspector can't be had. */
const OTHER_WAY =
  "Put `import 'gyre/inspect'` into the program: it then answers on a unix socket that only its user can open.";

/** Seconds until a main thread that sleeps in the kernel must have opened its inspector. */
const OPENING = 5;
/** The same for a main thread that runs: the machine may be busy. */
const OPENING_BUSY = 20;

export async function openInspector(process: ProcessFacts): Promise<Inspector> {
  const { pid } = process;
  refuseOthers(process);
  const before = listeningSockets(process.pid);
  // It may be open by a flag, by the program, or by an earlier command while a callback holds the loop.
  const usual = before.filter(({ port }) => port === inspectorPort(process));
  const open = await inspectorAmong([...flaggedSocket(process, before), ...usual]);
  if (open !== undefined) return { ...open, pid, wasOpen: true };
  const opened = await openBySignal(process, before);
  if (opened !== undefined) return { ...opened, pid, wasOpen: false };
  throw whyNot(process);
}

function refuseOthers(process: ProcessFacts): void {
  const { pid } = process;
  if (!isNode(process)) {
    throw new Problem(`process ${pid} (${process.program}) is not Node`, [
      'Other runtimes have other inspectors.',
      OTHER_WAY,
    ]);
  }
  if (!process.ourNetwork) {
    throw new Problem(`process ${pid} runs in another network, as in a container`, [
      'Run `npx gyre` in that container, for example with `docker exec`.',
    ]);
  }
  if (process.stopped) {
    throw new Problem(`process ${pid} is stopped by a signal, so it can't answer`, [
      `Continue it first: kill -CONT ${pid}`,
    ]);
  }
  if (!process.catchesUsr1) {
    throw new Problem(`process ${pid} has no handler for SIGUSR1, so the signal would end it`, [
      'Node has none with --disable-sigusr1, with --permission, or in the first milliseconds of a program.',
      OTHER_WAY,
    ]);
  }
}

/** The name of a function that every executable with Node in it exports. */
const EXPORTED_BY_NODE = 'node_module_register';

function isNode({ pid, program }: ProcessFacts): boolean {
  if (/^(bun|deno)/.test(program)) return false;
  return /^node(js)?$/.test(program) || readFileSync(`/proc/${pid}/exe`).includes(EXPORTED_BY_NODE);
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGUSR1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') throw new Problem(`process ${pid} has ended`);
    if (code === 'EPERM') throw new Problem(`process ${pid} belongs to another user`);
    throw error;
  }
}

/** Where an inspector listens. */
type Place = Pick<Inspector, 'url' | 'port'>;

/** Seconds until the signal is sent again, and the factor from one pause to the next. */
const FIRST_PAUSE = 0.3;
const LONGER = 4;

/**
 * Sends the signal, and waits for a socket that listens since. Node ignores the signal while it closes its
 * inspector after an earlier command, so the signal is sent again.
 */
async function openBySignal(
  process: ProcessFacts,
  before: readonly ListeningSocket[],
): Promise<Place | undefined> {
  const known = new Set(before.map(({ inode }) => inode));
  const loop = getRunningLoop();
  const start = loop.time();
  const patience = () => (waitChannel(process.pid) === RUNNING ? OPENING_BUSY : OPENING);
  signal(process.pid);
  let again = FIRST_PAUSE;
  for (let pause = 0.002; loop.time() - start < patience(); pause = Math.min(pause * 1.5, 0.1)) {
    if (loop.time() - start > again) {
      signal(process.pid);
      again *= LONGER;
    }
    const found = await inspectorAmong(
      listeningSockets(process.pid).filter(({ inode }) => !known.has(inode)),
    );
    if (found !== undefined) return found;
    await sleep(pause);
    processFacts(process.pid);
  }
  return undefined;
}

/** Node's port for debuggers, if no flag names another one. */
const USUAL_PORT = 9229;

/**
 * Returns the socket of an inspector that a flag of the command has opened. Node opens it before the program
 * runs, so it is the oldest one.
 */
function flaggedSocket(process: ProcessFacts, sockets: readonly ListeningSocket[]): ListeningSocket[] {
  if (!flagsOf(process).some((flag) => /^--inspect(-brk|-wait)?(=|$)/.test(flag))) return [];
  return [...sockets].sort((a, b) => Number(a.inode) - Number(b.inode)).slice(0, 1);
}

/** Returns the port that the signal opens. */
function inspectorPort(process: ProcessFacts): number {
  const ports = flagsOf(process).map((flag) => /^--(inspect|debug)-port=(?:.*:)?(\d+)$/.exec(flag)?.[2]);
  return Number(ports.findLast((port) => port !== undefined) ?? USUAL_PORT);
}

function flagsOf({ pid, command }: ProcessFacts): string[] {
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  const options = variables.find((variable) => variable.startsWith('NODE_OPTIONS='));
  return [...(options?.slice('NODE_OPTIONS='.length).split(' ') ?? []), ...command];
}

/** Asks the sockets for their debugging targets. Returns the first one that answers as Node does. */
async function inspectorAmong(sockets: readonly ListeningSocket[]): Promise<Place | undefined> {
  for (const { host, port } of sockets) {
    const reached = host === '0.0.0.0' ? '127.0.0.1' : host;
    try {
      const answer = await fetch(`http://${reached}:${port}/json/list`, {
        signal: AbortSignal.timeout(2000),
      });
      const [target] = (await answer.json()) as { webSocketDebuggerUrl?: string }[];
      if (target?.webSocketDebuggerUrl !== undefined) return { url: target.webSocketDebuggerUrl, port };
    } catch {
      // It does not listen yet, or it is no inspector.
    }
  }
  return undefined;
}

/** Says why Node opened no inspector. */
function whyNot(process: ProcessFacts): Problem {
  const { pid } = process;
  const port = inspectorPort(process);
  const owner = ownerOf(port);
  if (owner !== undefined && owner !== pid) {
    return new Problem(`process ${pid} can't open its inspector: process ${owner} has port ${port}`, [
      'Try again when that inspector is closed, or start the program with --inspect-port=0.',
    ]);
  }
  return new Problem(`process ${pid} did not open its inspector`, [
    `Its main thread runs no JavaScript: it is in native code or in a system call (${waitChannel(pid)}).`,
    'A program that handles SIGUSR1 by itself never opens it.',
    OTHER_WAY,
  ]);
}

/** Returns the process that listens on a port, if this user may know. */
function ownerOf(wanted: number): number | undefined {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        return listeningSockets(pid).some(({ port }) => port === wanted);
      } catch {
        return false; // of another user, or ended
      }
    });
}

const RUNNING = 'running';

/** Names the function of the kernel in which the main thread sleeps. */
function waitChannel(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/wchan`, 'utf8').replace(/^0?$/, RUNNING);
  } catch {
    return 'unknown';
  }
}
