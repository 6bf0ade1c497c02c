import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { loaderOptions } from '../../helpers/typescript.ts';
import type { Outcome } from './python-names.ts';
import { noPython } from './python-names.ts';

// The system's own resolver, with a name server, a hosts file and interfaces of the test. CPython's answer is
// the right one.

const FILES = {
  'resolv.conf': ['nameserver 127.0.0.1', 'search search.test', 'options timeout:1 attempts:1'],
  hosts: [
    '127.0.0.1 localhost',
    '10.9.8.7 box.own.test box box-alias',
    '192.0.2.5 me.own.test me',
    '2001:db8::7 dual6.own.test dual',
  ],
  'nsswitch.conf': ['hosts: files dns', 'services: files'],
};

/** Mounts the files over the machine's, in a namespace of the child alone. */
const SETUP = [
  'set -e',
  'ip link set lo up',
  'hostname me',
  'mount -t sysfs sysfs /sys',
  ...Object.keys(FILES).map((name) => `mount --bind "$0/${name}" /etc/${name}`),
  'exec "$@"',
].join('\n');

function inOwnNetwork(folder: string, command: string[]): [string, string[]] {
  return ['unshare', ['-rmnu', 'sh', '-c', SETUP, folder, ...command]];
}

function withFiles<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-dns-'));
  for (const [name, lines] of Object.entries(FILES)) {
    writeFileSync(path.join(folder, name), `${lines.join('\n')}\n`);
  }
  return body(folder);
}

const noNetwork =
  noPython ||
  withFiles((folder) => {
    const { status } = spawnSync(...inOwnNetwork(folder, ['true']));
    rmSync(folder, { recursive: true });
    return status !== 0 && 'no network of its own (unshare, ip, mount) may be made here';
  });

test(
  'getaddrinfo() and getnameinfo() answer and fail like CPython before a name server, and can be cancelled if it is silent',
  { skip: noNetwork },
  () =>
    withFiles(async (folder) => {
      const script = path.join(import.meta.dirname, 'names-dns.child.ts');
      const [command, args] = inOwnNetwork(folder, [process.execPath, ...loaderOptions, script]);
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      for await (const chunk of child.stdout) text += chunk;
      rmSync(folder, { recursive: true });
      const { outcomes, other } = JSON.parse(text) as {
        outcomes: { call: unknown; gyre: Outcome; python: Outcome }[];
        other: unknown;
      };
      for (const { call, gyre, python } of outcomes) assert.deepEqual(gyre, python, JSON.stringify(call));
      assert.ok(outcomes.length > 100);
      assert.deepEqual(other, {
        cancelled: 'ERR_CANCELLED',
        atOnce: true,
        unanswered: 'EAI_AGAIN',
        halfCancelled: 'ERR_CANCELLED',
        halfAtOnce: true,
        halfUnanswered: 'EAI_AGAIN',
        aliasesAskedFor: 0,
      });
    }),
);
