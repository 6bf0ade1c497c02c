/**
 * The answers of CPython's `socket.getaddrinfo` and `getnameinfo` on this machine, in gyre's form. Both use
 * glibc.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { AddressInfo } from '../../../src/index.ts';
import { SOCK_DGRAM, SOCK_STREAM } from '../../../src/index.ts';

export interface InfoQuery {
  host: string | null;
  port: number | string | null;
  family?: number;
  type?: number;
  proto?: number;
  flags?: number;
}

/** A call of either function: its answer, or the code of its error. */
export type Outcome = { found: unknown } | { code: string };

/** The reason why nothing can be compared here; false if it can. */
export const noPython: string | false = whyNot();

function whyNot(): string | false {
  if (process.platform !== 'linux') return 'the numbers of flags and errors are those of Linux';
  const { status } = spawnSync('python3', ['-c', 'import socket; socket.EAI_ADDRFAMILY']);
  return status === 0 ? false : 'python3 is not there';
}

const PROGRAM = `
import json, socket, sys
CODES = {socket.EAI_NONAME: 'ENOTFOUND', socket.EAI_NODATA: 'ENOTFOUND'}
for name in dir(socket):
    if name.startswith('EAI_'):
        CODES.setdefault(getattr(socket, name), name)
def call(function, args):
    try:
        if function == 'getnameinfo':
            return {'found': socket.getnameinfo(tuple(args[0]), args[1])}
        return {'found': [[int(x) if i < 3 else x for i, x in enumerate(row)] for row in socket.getaddrinfo(*args)]}
    except socket.gaierror as error:
        return {'code': CODES[error.errno]}
print(json.dumps([call(*one) for one in json.load(sys.stdin)]))
`;

/** Asks in a process of its own, without blocking this one, which may be the name server. */
async function ask(calls: [name: string, args: unknown[]][]): Promise<Outcome[]> {
  const child = spawn('python3', ['-c', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(calls));
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return JSON.parse(text) as Outcome[];
}

/** Drops the raw sockets, which gyre does not list. */
export async function pythonInfos(queries: readonly InfoQuery[]): Promise<Outcome[]> {
  const outcomes = await ask(
    queries.map(({ host, port, family = 0, type = 0, proto = 0, flags = 0 }) => [
      'getaddrinfo',
      [host, port, family, type, proto, flags],
    ]),
  );
  return outcomes.map((outcome) => {
    if ('code' in outcome) return outcome;
    const rows = outcome.found as [number, number, number, string, unknown][];
    return {
      found: rows
        .filter(([, type]) => type === SOCK_STREAM || type === SOCK_DGRAM)
        .map(([family, type, proto, canonname, sockaddr]) => ({ family, type, proto, canonname, sockaddr })),
    };
  });
}

export function pythonNames(
  queries: readonly [sockaddr: readonly unknown[], flags: number][],
): Promise<Outcome[]> {
  return ask(queries.map((query) => ['getnameinfo', [...query]]));
}

/** Returns gyre's answer in the same form. */
export async function outcomeOf(
  answer: () => PromiseLike<AddressInfo[] | [string, string]>,
): Promise<Outcome> {
  try {
    return { found: await answer() };
  } catch (error) {
    return { code: (error as { code: string }).code };
  }
}
