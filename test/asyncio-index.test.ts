/** docs/asyncio-index.md: each name that it gives is exported, or is a member of the class it names. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('..', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

interface Row {
  asyncio: string;
  gyre: string;
  note: string;
}

const rows: Row[] = [...read('docs/asyncio-index.md').matchAll(/^\| `(.+?)` \| (.+?) \| (.*)\|$/gm)].map(
  ([, asyncio, gyre, note]) => ({
    asyncio: asyncio as string,
    gyre: (gyre as string).replaceAll('`', ''),
    note: (note as string).trim(),
  }),
);

/** The names in the export lists of the package's root, values and types. */
const exported = new Set(
  [...read('src/index.ts').matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    (list as string).split(',').map((name) => name.trim()),
  ),
);

interface Declaration {
  bases: string[];
  body: string;
}

/** The classes and interfaces of the sources, by name. An interface and a class may share a name. */
const declarations: Map<string, Declaration[]> = new Map();
const declaration =
  /^(?:export )?(?:abstract )?(?:class|interface) (\w+)(?:<[^{]*?>)?((?:\s+(?:extends|implements)\s+[^{]*)?)\s*\{\n([\s\S]*?)^\}/gm;
for (const file of readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue;
  for (const [, name, bases, body] of read(`src/${file}`).matchAll(declaration)) {
    const found = { bases: (bases as string).match(/\w+/g) ?? [], body: body as string };
    declarations.set(name as string, [...(declarations.get(name as string) ?? []), found]);
  }
}

function hasMember(owner: string, member: string): boolean {
  const line = new RegExp(
    `^  (?:(?:abstract|override|readonly|async|get|set) )*${member}[?!]?(?:<[^(]*>)?[(:;=]`,
    'm',
  );
  return (declarations.get(owner) ?? []).some(
    ({ bases, body }) => line.test(body) || bases.some((base) => base !== owner && hasMember(base, member)),
  );
}

test('every name in the table is exported, or is a member of an exported class or interface', () => {
  assert.ok(rows.length > 300, `the table has ${rows.length} rows`);
  for (const { asyncio, gyre } of rows) {
    if (gyre === '–') continue;
    const [name, member] = gyre.split('.') as [string, string?];
    assert.ok(exported.has(name), `${asyncio}: gyre does not export ${name}`);
    if (member !== undefined) assert.ok(hasMember(name, member), `${asyncio}: ${name} has no ${member}`);
  }
});

test('every name in the table that is absent has a reason', () => {
  for (const { asyncio, gyre, note } of rows) {
    if (gyre === '–') assert.ok(note.length > 7, `${asyncio} is absent without a reason`);
  }
});

test('the table has each name of asyncio once', () => {
  const names = rows.map(({ asyncio }) => asyncio);
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
});

test('no member is found that is not there, so the test above can fail', () => {
  assert.equal(hasMember('Lock', 'acquire'), true);
  assert.equal(hasMember('BoundedSemaphore', 'acquire'), true);
  assert.equal(hasMember('Lock', 'acquired'), false);
  assert.equal(hasMember('Nothing', 'acquire'), false);
});
