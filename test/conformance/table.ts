/** The text of docs/conformance.md, made from what the suites say of themselves. */
import * as gyre from '../../src/index.ts';
import type { Section } from './functions.ts';
import { BEYOND, FOUNDING } from './functions.ts';
import type { Entry } from './section.ts';
import { suites } from './suites.ts';
import { targets } from './targets.ts';

/** A line of the table: a function, and the backends for which the rest of the line is the same. */
interface Row {
  backends: string[];
  state: string;
  tests: string[];
}

export function conformanceTable(): string {
  const entries: Entry[] = [];
  for (const target of targets) {
    for (const suite of suites) suite({ ...target, record: (entry) => entries.push(entry) });
  }
  const founding = FOUNDING.flatMap(({ functions }) => functions);
  const missing = founding.filter(([, name]) => !exists(name));
  const lines = [
    '# Conformance',
    '',
    'What of the founding document, *asyncio: event loops*, gyre has, on which backend, and which test holds it. Made by',
    '`node scripts/conformance-table.mjs` from the suites in `test/conformance/`; a test fails when this page is out of date.',
    '',
    '- **works**: each test named passes on the backend.',
    '- **unsupported**: this version has the function, the backend cannot do it, and says so with `ERR_UNSUPPORTED`.',
    '- **not in this version**: gyre does not have the function yet. Nothing of that name is exported.',
    '',
    `Of the ${founding.length} functions, ${founding.length - missing.length} are in this version and ${missing.length} are not.`,
    'The one departure in those that are: JavaScript cannot block its thread, so `runForever()` and `runUntilComplete()`',
    'answer promises.',
    '',
    ...FOUNDING.flatMap((section) => sectionLines(section, entries)),
    '# Beyond the founding document',
    '',
    'What the suites hold as well: asyncio’s functions of the same chapter that came later, exceptions, debug mode, and the',
    'futures and tasks that the functions above answer and run.',
    '',
    ...BEYOND.flatMap((section) => sectionLines(section, entries)),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function sectionLines({ title, functions }: Section, entries: readonly Entry[]): string[] {
  const lines = [
    `## ${title}`,
    '',
    '| asyncio | gyre | backend | state | test |',
    '| --- | --- | --- | --- | --- |',
  ];
  for (const [python, name] of functions) {
    for (const { backends, state, tests } of rowsFor(python, name, entries)) {
      const cells = [
        `\`${python}\``,
        `\`${name}\``,
        backends.join(', '),
        state,
        tests.map(cell).join('<br>'),
      ];
      lines.push(`| ${cells.join(' | ')} |`);
    }
  }
  return [...lines, ''];
}

function rowsFor(python: string, name: string, entries: readonly Entry[]): Row[] {
  const rows = new Map<string, Row>();
  for (const { backend } of targets) {
    const own = entries.filter((entry) => entry.backend === backend && entry.functions.includes(python));
    const row = { state: stateOf(own, name), tests: testsOf(own) };
    const key = JSON.stringify(row);
    const same = rows.get(key);
    if (same === undefined) rows.set(key, { backends: [backend], ...row });
    else same.backends.push(backend);
  }
  return [...rows.values()];
}

function stateOf(entries: readonly Entry[], name: string): string {
  if (entries.length === 0)
    return exists(name) ? 'in this version, without a test here' : 'not in this version';
  const reasons = new Set(entries.map(({ unsupported }) => unsupported));
  if (!reasons.has(null)) return `unsupported: ${[...reasons].join('; ')}`;
  return reasons.size === 1 ? 'works' : 'works, except as noted';
}

function testsOf(entries: readonly Entry[]): string[] {
  const works = entries.some(({ unsupported }) => unsupported === null);
  return entries.map(({ title, unsupported }) =>
    works && unsupported !== null ? `${title} (unsupported: ${unsupported})` : title,
  );
}

/** Whether gyre has a function: one that is exported, or a method or field of a class that is. */
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

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
