// npm run docs:check: what an entry point exports must be explained where it is declared. A function, class
// or constant needs a doc comment; a function's names each parameter and has an @example; each public member
// of a class needs a doc comment, its own or that of what the class extends or implements.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { allDeclarations, isExplained, parameterNames, publicDeclarations } from './exports.mjs';
import { runChild } from './run-child.mjs';
import { ensureDependencies, root } from './setup.mjs';

/**
 * Functions that need no example, each with the reason.
 *
 * @type {Record<string, string>}
 */
const exempt = {};

ensureDependencies();
const folder = mkdtempSync(path.join(tmpdir(), 'gyre-docs-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const code = await runChild(
  process.execPath,
  [tsc, '-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', folder],
  { cwd: root },
);
if (code !== 0) process.exit(code);

const entries = [
  'index.d.ts',
  ...readdirSync(path.join(folder, 'entry'))
    .filter((name) => name.endsWith('.d.ts'))
    .map((name) => `entry/${name}`),
];

/** @type {Set<string>} */
const complaints = new Set();
const usedExemptions = new Set();
const counted = { function: 0, class: 0, const: 0, interface: 0, type: 0, member: 0 };
const seen = new Set();
const all = allDeclarations(folder);
const exported = new Set(
  entries.flatMap((entry) => [...publicDeclarations(path.join(folder, entry)).keys()]),
);

/**
 * A class may inherit from one that no entry exports: to its user those members are its own.
 *
 * @param {import('./exports.mjs').Declaration} declaration
 * @returns {import('./exports.mjs').Member[]}
 */
function membersToUser(declaration) {
  const hidden = declaration.bases
    .flatMap((name) => all.get(name) ?? [])
    .filter((base) => base.kind === 'class' && !exported.has(base.name));
  return [...declaration.members, ...hidden.flatMap(membersToUser)];
}

for (const entry of entries) {
  for (const [name, declaration] of publicDeclarations(path.join(folder, entry))) {
    const source = path
      .relative(folder, declaration.file)
      .replaceAll('\\', '/')
      .replace(/\.d\.ts$/, '.ts');
    const key = `${source} ${declaration.name}`;
    if (seen.has(key)) continue;
    seen.add(key);
    counted[declaration.kind]++;
    /** @param {string} what */
    const complain = (what) => complaints.add(`src/${source}: ${what}`);
    if (declaration.kind === 'interface' || declaration.kind === 'type') continue;
    if (declaration.doc === '') {
      complain(`${declaration.kind} ${name} has no doc comment`);
      continue;
    }
    if (declaration.kind === 'function') {
      for (const parameter of parameterNames(declaration.signature)) {
        const described = new RegExp(
          `@param (?:\\{[^}]*\\} )?(?:\\.\\.\\.)?${parameter.replaceAll('$', '\\$')}\\b`,
        );
        if (!described.test(declaration.doc))
          complain(`function ${name} does not describe @param ${parameter}`);
      }
      if (name in exempt) usedExemptions.add(name);
      else if (!declaration.doc.includes('@example')) complain(`function ${name} has no @example`);
    }
    for (const member of membersToUser(declaration)) {
      counted.member++;
      if (!isExplained(declaration, member, all)) complain(`${name}.${member.name} has no doc comment`);
    }
  }
}
for (const name of Object.keys(exempt)) {
  if (!usedExemptions.has(name))
    complaints.add(`scripts/docs-check.mjs: ${name} is exempt, but no entry exports it`);
}

console.log(
  `${entries.length} entry points: ${counted.function} functions, ${counted.class} classes with ` +
    `${counted.member} members, ${counted.const} constants; ${Object.keys(exempt).length} functions exempt from @example`,
);
for (const [name, reason] of Object.entries(exempt)) console.log(`  ${name}: ${reason}`);
for (const complaint of [...complaints].sort()) console.error(complaint);
if (seen.size === 0) console.error('No entry exports anything.');
if (complaints.size > 0) console.error(`${complaints.size} to explain`);
process.exitCode = complaints.size > 0 || seen.size === 0 ? 1 : 0;
