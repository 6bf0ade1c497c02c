/** Makes the text of docs/conformance.md from the suites. */
import * as gyre from '../../src/index.ts';
import type { Section } from './functions.ts';
import { BEYOND, REFERENCE } from './functions.ts';
import type { Entry } from './section.ts';
import { suites } from './suites.ts';
import { targets } from './targets.ts';

/** A test, and the file of its suite. */
interface Found extends Entry {
  file: string;
}

export function conformanceTable(): string {
  const found = allTests();
  const reference = REFERENCE.flatMap(({ functions }) => functions);
  const missing = reference.filter(([, name]) => !exists(name));
  const lines = [
    '# Conformance',
    '',
    'This page lists the functions of [asyncio’s event loop reference](https://docs.python.org/3/library/asyncio-eventloop.html) as',
    'it was first published, chapter by chapter, with their state on each backend. The last column links to the tests.',
    '',
    '- **works**: every test of the function passes on this backend.',
    '- **unsupported**: the backend lacks the feature behind the function. Calls that need it throw `ERR_UNSUPPORTED`.',
    '- **works (no signals)**: the function works, but the backend lacks a feature that some of its tests combine it with.',
    '',
    `gyre has ${reference.length - missing.length} of the ${reference.length} functions. They behave as in asyncio, with one exception: \`runForever()\` and`,
    '`runUntilComplete()` return promises, because JavaScript cannot block its thread. [differences.md](differences.md) has the details.',
    '',
    '`node scripts/conformance-table.mjs` makes this page from the suites in `test/conformance/`. A test fails when it is out of date.',
    '',
    ...REFERENCE.flatMap((section) => sectionLines(section, found)),
    '# Beyond the reference',
    '',
    'The suites also test functions that asyncio added later, exceptions and debug mode, and futures and tasks.',
    '',
    ...BEYOND.flatMap((section) => sectionLines(section, found)),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function allTests(): Found[] {
  const found: Found[] = [];
  for (const target of targets) {
    for (const suite of suites) {
      const file = fileOf(suite);
      suite({ ...target, record: (entry) => found.push({ ...entry, file }) });
    }
  }
  return found;
}

/** Returns the file name of a suite: `tcpServersSuite` is in tcp-servers.suite.ts. */
export function fileOf(suite: { name: string }): string {
  const words = suite.name.replace(/Suite$/, '');
  return `${words.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.suite.ts`;
}

function sectionLines({ title, functions }: Section, found: readonly Found[]): string[] {
  const backends = targets.map(({ backend }) => backend);
  const lines = [
    `## ${title}`,
    '',
    `| asyncio | gyre | ${backends.join(' | ')} | tests |`,
    `| --- | --- | ${backends.map(() => '---').join(' | ')} | --- |`,
  ];
  for (const [python, name] of functions) {
    const own = found.filter((entry) => entry.functions.includes(python));
    const states = backends.map((backend) =>
      stateOf(
        own.filter((entry) => entry.backend === backend),
        name,
      ),
    );
    lines.push(`| ${[`\`${python}\``, `\`${name}\``, ...states, linksTo(own)].join(' | ')} |`);
  }
  return [...lines, ''];
}

function stateOf(entries: readonly Entry[], name: string): string {
  if (entries.length === 0) return exists(name) ? 'untested' : 'not in this version';
  const reasons = new Set(entries.map(({ unsupported }) => unsupported));
  if (!reasons.has(null)) return 'unsupported';
  reasons.delete(null);
  if (reasons.size === 0) return 'works';
  return `works (${[...reasons].map((reason) => reason?.replace('the backend has ', '')).join(', ')})`;
}

function linksTo(found: readonly Found[]): string {
  const files = [...new Set(found.map(({ file }) => file))];
  return files.map((file) => `[${file.replace('.suite.ts', '')}](../test/conformance/${file})`).join(', ');
}

/** Tells whether gyre exports a function of this name, or a class that has such a method or field. */
function exists(name: string): boolean {
  const [, owner, member = ''] = /^(?:(\w+)\.)?(\w+)/.exec(name) ?? [];
  const classes: Record<string, { prototype: object }> = {
    loop: gyre.BaseEventLoop,
    future: gyre.Future,
    task: gyre.Task,
    server: gyre.Server,
  };
  return member in (owner === undefined ? gyre : (classes[owner] as { prototype: object }).prototype);
}
