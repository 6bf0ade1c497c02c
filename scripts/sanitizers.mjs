// Makes a Node that runs under AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer, and its
// environment.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const NODE = process.env.GYRE_NODE || process.execPath;

/** The compiler's run-time libraries. Node is not linked with them, so they must be loaded before it. */
function runtimes() {
  return ['libasan.so', 'libstdc++.so'].map((name) =>
    spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim(),
  );
}

/** Returns null if there are sanitizers; otherwise the reason why there are none. */
export function whyNoSanitizers() {
  if (runtimes().every((file) => path.isAbsolute(file))) return null;
  return 'the C compiler has no libasan.so (or no libstdc++.so, which it wants first)';
}

/** Whether LeakSanitizer can examine a process here. Some containers forbid ptrace, which it needs. */
export function canFindLeaks() {
  const done = spawnSync('/bin/true', [], {
    env: { LD_PRELOAD: runtimes().join(' '), ASAN_OPTIONS: 'detect_leaks=1' },
    encoding: 'utf8',
  });
  return done.status === 0 && !done.stderr.includes('LeakSanitizer');
}

/**
 * Makes a Node with the sanitizers' run-time libraries. Its children have them only if they are Node, too,
 * because some other programs hang with them. It is removed when this process exits.
 *
 * @returns {{ node: string, nodeOptions: string }}
 */
export function sanitizedNode() {
  const tools = mkdtempSync(path.join(tmpdir(), 'gyre-check-tools-'));
  process.on('exit', () => rmSync(tools, { recursive: true, force: true }));
  const node = path.join(tools, 'sanitized-node');
  const preload = path.join(tools, 'preload.mjs');
  writeFileSync(node, `#!/bin/sh\nLD_PRELOAD='${runtimes().join(' ')}' exec '${NODE}' "$@"\n`, {
    mode: 0o755,
  });
  writeFileSync(preload, `process.execPath = ${JSON.stringify(node)};\ndelete process.env.LD_PRELOAD;\n`);
  return { node, nodeOptions: `--import=${pathToFileURL(preload).href}` };
}

/**
 * Returns the environment of such a Node. Findings do not change its exit code: most leaks are V8's, and
 * LeakSanitizer itself may fail in a process with so many threads. They stand in log files, because tests
 * read what their children print, and because no test looks at the end of some processes. The quarantine of
 * freed memory stays below the limits of the tests that measure memory.
 *
 * @param {string} logs
 * @param {string} built
 * @param {string} nodeOptions
 * @param {boolean} leaks whether LeakSanitizer runs
 * @returns {Record<string, string>}
 */
export function sanitizerEnv(logs, built, nodeOptions, leaks) {
  return {
    GYRE_NATIVE: built,
    GYRE_TEST_BACKEND: 'uv',
    NODE_OPTIONS: [process.env.NODE_OPTIONS, nodeOptions].join(' ').trim(),
    ASAN_OPTIONS: `detect_leaks=${leaks ? 1 : 0}:exitcode=0:strict_string_checks=1:quarantine_size_mb=64:log_path=${path.join(logs, 'asan')}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${path.join(logs, 'ubsan')}`,
  };
}
