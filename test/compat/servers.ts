/**
 * Real servers for the compatibility suite: each is a process of its own, on a free port and a unix socket,
 * with its data in a directory of its own. If a machine lacks one, its tests are skipped, with the reason.
 */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { server as certificate } from '../helpers/certificates.ts';
import { freePort } from '../helpers/pairs.ts';

/** Milliseconds between two checks of a server that starts. */
const LOOK_EVERY = 20;
/** The number of checks. A busy machine may need half a minute for a new database. */
const MOST_LOOKS = 4500;
/** A port is free when it is picked. If another program takes it before the server does, the start fails. */
const ATTEMPTS = 3;

export interface RunningServer {
  port: number;
  /** The path of its unix socket. */
  path: string;
  stop(): Promise<void>;
}

/** The account of a server: some refuse to be root. */
interface Identity {
  uid: number;
  gid: number;
}

interface Plan {
  name: string;
  /** The account for root; null: the current user. */
  account: string | null;
  /** Ends it at once. */
  deadly: 'SIGKILL' | 'SIGQUIT';
  /** Creates the data, if it needs any. */
  prepare?(directory: string, run: (program: string, args: string[]) => void): void;
  command(directory: string, port: number): [program: string, args: string[]];
  socketPath(directory: string, port: number): string;
  /** Tells whether a listening server also answers. By default it does. */
  isReady?(directory: string): boolean;
}

/**
 * Starts the server, and returns once it accepts connections. The server ends with this process, however that
 * ends.
 */
async function start(plan: Plan): Promise<RunningServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(plan);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function startOnce(plan: Plan): Promise<RunningServer> {
  const identity = identityOf(plan.account);
  const directory = mkdtempSync(join(tmpdir(), 'gyre-server-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const log = join(directory, 'log');
  let child: ChildProcess | null = null;
  const kill = (): void => {
    child?.kill(plan.deadly);
    remove();
  };
  const forget = onEndOfProcess(kill);
  try {
    if (identity !== null) chownSync(directory, identity.uid, identity.gid);
    plan.prepare?.(directory, (...command) => {
      const [program, args] = mortal(command, 'SIGKILL');
      execFileSync(program, args, { cwd: directory, stdio: 'pipe', ...identity });
    });
    const port = await freePort();
    const [program, args] = mortal(plan.command(directory, port), plan.deadly);
    const output = openSync(log, 'a');
    child = spawn(program, args, { cwd: directory, stdio: ['ignore', output, output], ...identity });
    closeSync(output);
    const running = child;
    const isReady = async (): Promise<boolean> =>
      (await answers(port)) && (plan.isReady?.(directory) ?? true);
    await untilReady(plan.name, running, isReady, () => readFileSync(log, 'utf8'));
    return {
      port,
      path: plan.socketPath(directory, port),
      async stop() {
        forget();
        if (running.exitCode === null && running.signalCode === null) {
          running.kill(plan.deadly);
          await once(running, 'exit');
        }
        remove();
      },
    };
  } catch (error) {
    forget();
    kill();
    throw error;
  }
}

/** Calls back when this process exits or gets SIGTERM, by which the test runner ends a file. */
function onEndOfProcess(callback: () => void): () => void {
  const terminated = (): void => {
    callback();
    process.kill(process.pid, 'SIGTERM');
  };
  process.once('exit', callback);
  process.once('SIGTERM', terminated);
  return () => {
    process.removeListener('exit', callback);
    process.removeListener('SIGTERM', terminated);
  };
}

/** Linux can end a child with its parent, even if that is killed and runs no handler. */
function mortal([program, args]: [string, string[]], signal: string): [string, string[]] {
  if (!hasProgram('setpriv')) return [program, args];
  return ['setpriv', ['--pdeathsig', signal.replace('SIG', ''), program, ...args]];
}

async function untilReady(
  name: string,
  child: ChildProcess,
  isReady: () => Promise<boolean>,
  log: () => string,
): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended instead of listening:\n${log()}`);
    }
    if (await isReady()) return;
    await pause(LOOK_EVERY);
  }
  throw new Error(`${name} does not listen:\n${log()}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function identityOf(account: string | null): Identity | null {
  if (account === null || process.getuid?.() !== 0) return null;
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(execFileSync('id', [flag, account], { encoding: 'utf8' })),
  );
  return { uid: uid as number, gid: gid as number };
}

function hasProgram(name: string): boolean {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}

// --- the three of them ---

function postgresFolder(): string | null {
  const debian = '/usr/lib/postgresql';
  const folders = existsSync(debian)
    ? readdirSync(debian).map((version) => join(debian, version, 'bin'))
    : [];
  return folders.find((folder) => existsSync(join(folder, 'initdb'))) ?? (hasProgram('initdb') ? '' : null);
}

/** The reason why there is no PostgreSQL; false if there is one. */
export const noPostgres: string | false =
  postgresFolder() === null ? 'no PostgreSQL server is installed' : false;

/** User `gyre`, no password, database `postgres`; TLS for localhost. */
export function startPostgres(): Promise<RunningServer> {
  const folder = postgresFolder() as string;
  return start({
    name: 'PostgreSQL',
    account: 'postgres',
    // A killed server would leave shared memory behind.
    deadly: 'SIGQUIT',
    prepare(directory, run) {
      const options = ['--username=gyre', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
      run(join(folder, 'initdb'), [`--pgdata=${join(directory, 'data')}`, ...options]);
      for (const [file, text] of [
        ['server.crt', certificate.cert],
        ['server.key', certificate.key],
      ] as const) {
        // By the account of the server, which must own the data.
        run('sh', ['-c', 'umask 077; printf %s "$1" >"$2"', 'sh', text, join(directory, 'data', file)]);
      }
    },
    command: (directory, port) => [
      join(folder, 'postgres'),
      ['-D', join(directory, 'data'), '-p', String(port), '-k', directory, '-h', '127.0.0.1', '-F', '-l'],
    ],
    socketPath: (directory, port) => join(directory, `.s.PGSQL.${port}`),
    // It listens while it still starts, and refuses clients.
    isReady: (directory) =>
      /^ready\s*$/m.test(readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8')),
  });
}

/** The reason why there is no Redis; false if there is one. */
export const noRedis: string | false = hasProgram('redis-server') ? false : 'no redis-server is installed';

export function startRedis(): Promise<RunningServer> {
  return start({
    name: 'Redis',
    account: null,
    deadly: 'SIGKILL',
    command: (directory, port) => [
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--unixsocket',
        join(directory, 'socket'),
        '--save',
        '',
      ],
    ],
    socketPath: (directory) => join(directory, 'socket'),
  });
}

/** The reason why there is no MariaDB; false if there is one. */
export const noMariaDb: string | false =
  hasProgram('mariadbd') && existsSync('/usr/bin/mariadb-install-db')
    ? false
    : 'no MariaDB server is installed';

/** User `root`, no password, database `mysql`. */
export function startMariaDb(): Promise<RunningServer> {
  return start({
    name: 'MariaDB',
    account: 'mysql',
    deadly: 'SIGKILL',
    prepare(directory, run) {
      run('/usr/bin/mariadb-install-db', [
        '--no-defaults',
        `--datadir=${join(directory, 'data')}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        '--innodb-log-file-size=4M',
      ]);
    },
    command: (directory, port) => [
      'mariadbd',
      [
        '--no-defaults',
        `--datadir=${join(directory, 'data')}`,
        `--socket=${join(directory, 'socket')}`,
        `--pid-file=${join(directory, 'pid')}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        '--innodb-log-file-size=4M',
        '--innodb-buffer-pool-size=16M',
        '--max-allowed-packet=64M',
      ],
    ],
    socketPath: (directory) => join(directory, 'socket'),
  });
}
