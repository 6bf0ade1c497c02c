/** Reads the files of `/proc/PID`, in which Linux describes a process. The process does not notice. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { Problem } from '../problem.ts';

export interface ProcessFacts {
  readonly pid: number;
  /** The name of the executable's file, for example `node`. */
  readonly program: string;
  /** The arguments of the command. */
  readonly command: readonly string[];
  /** Whether a signal has stopped the process, as ^Z does. */
  readonly stopped: boolean;
  /** Whether the process has the network of this one. A container has a network of its own. */
  readonly ourNetwork: boolean;
  /** Whether the process handles `SIGUSR1`. The signal ends a process that does not. */
  readonly catchesUsr1: boolean;
}

const SIGUSR1 = 10;

/** Reads the facts, or throws a {@link Problem} that says why they can't be had. */
export function processFacts(pid: number): ProcessFacts {
  const status = statusOf(pid);
  const state = field(status, 'State') ?? '';
  if (state.startsWith('Z'))
    throw new Problem(`process ${pid} has ended, and its parent has not collected it`);
  return {
    pid,
    program: path.basename(ofOwner(pid, () => readlinkSync(`/proc/${pid}/exe`))).replace(/ \(deleted\)$/, ''),
    command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1),
    stopped: /^[Tt]/.test(state),
    ourNetwork: ofOwner(pid, () => readlinkSync(`/proc/${pid}/ns/net`)) === readlinkSync('/proc/self/ns/net'),
    catchesUsr1:
      (Number.parseInt((field(status, 'SigCgt') ?? '0').slice(-8), 16) & (1 << (SIGUSR1 - 1))) !== 0,
  };
}

export interface ListeningSocket {
  readonly inode: string;
  readonly host: string;
  readonly port: number;
}

/** Returns the inodes of the sockets of a process. */
function socketInodes(pid: number): Set<string | undefined> {
  const descriptors = ofOwner(pid, () => readdirSync(`/proc/${pid}/fd`));
  return new Set(
    descriptors.map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        return undefined; // closed meanwhile
      }
    }),
  );
}

/**
 * Returns true if the process itself listens on the unix socket. A file may be left of an earlier process, or
 * be of a container, where another process has this number. Systems without `/proc` are believed.
 */
export function listensOn(pid: number, file: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    const own = socketInodes(pid);
    const lines = readFileSync(`/proc/${pid}/net/unix`, 'utf8').split('\n');
    return lines.some((line) => line.endsWith(` ${file}`) && own.has(line.trim().split(/\s+/)[6]));
  } catch {
    return false; // it has ended, or belongs to another user
  }
}

/** Returns the TCP sockets on which a process listens. */
export function listeningSockets(pid: number): ListeningSocket[] {
  const own = socketInodes(pid);
  return ['tcp', 'tcp6'].flatMap((table) => listening(pid, table)).filter(({ inode }) => own.has(inode));
}

/** The state of a listening socket in the tables of `/proc/PID/net`. */
const LISTEN = '0A';

function listening(pid: number, table: string): ListeningSocket[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/${table}`, 'utf8');
  } catch {
    return []; // a system without IPv6
  }
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[3] === LISTEN)
    .map((words) => {
      const [address = '', port = ''] = (words[1] ?? '').split(':');
      return { inode: words[9] ?? '', host: hostOf(address), port: Number.parseInt(port, 16) };
    });
}

/** Decodes an address of these tables: words of four bytes, each in the order of a little-endian machine. */
function hostOf(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join('.');
  return `[${(bytes.join('').match(/.{4}/g) ?? []).join(':')}]`;
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Problem(`there is no process ${pid}`);
    throw error;
  }
}

function field(status: string, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
}

/** Reads a file that the kernel shows to the owner of the process only. */
function ofOwner<T>(pid: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') throw new Problem(`process ${pid} has ended`);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    throw new Problem(`process ${pid} belongs to another user`, [
      'Run the command as that user, or as root.',
    ]);
  }
}
