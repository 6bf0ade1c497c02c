/** `npm run release`, in small repositories that have the scripts of this one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { targets, whyNotNative } from '../scripts/build-native.mjs';
import { faultsOfMain, faultsOfNative } from '../scripts/pack.mjs';
import { npmCommand } from '../scripts/setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const SCRIPTS = ['release', 'pack', 'build', 'build-native', 'run-child', 'setup'];
const ADDRESSES = {
  repository: { type: 'git', url: 'git+https://host.example/owner/gyre.git' },
  bugs: { url: 'https://host.example/owner/gyre/issues' },
  homepage: 'https://host.example/owner/gyre',
};
const NATIVE = `#include <node_api.h>
NAPI_MODULE_INIT() { (void)env; return exports; }
`;
const CHANGELOG = `# Changelog

## [1.2.3] - 2026-01-31

### Added
- The first release.
`;

/**
 * Stands for npm: it packs by npm itself if PACK_BY_NPM is set and else by tar, which is faster, writes each
 * publication to the file PUBLISHED, and has the versions in KNOWN.
 */
const NPM = `
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const [command, ...args] = process.argv.slice(2);
if (command === 'pack') {
  if (process.env.PACK_BY_NPM !== undefined) {
    const [npm, ...first] = ${JSON.stringify(npmCommand())};
    process.exit(spawnSync(npm, [...first, command, ...args], { stdio: 'inherit' }).status);
  }
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const filename = name.replace('@', '').replace('/', '-') + '-' + version + '.tgz';
  const archive = path.join(args.find((arg) => arg.startsWith('--pack-destination=')).split('=')[1], filename);
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-release-'));
  cpSync('.', path.join(folder, 'package'), { recursive: true });
  const { status } = spawnSync('tar', ['-czf', archive, '-C', folder, 'package'], { stdio: 'inherit' });
  rmSync(folder, { recursive: true });
  const files = readdirSync('.', { recursive: true }).filter((file) => statSync(file).isFile());
  console.log(JSON.stringify([{ filename, size: statSync(archive).size, files: files.map((path) => ({ path })) }]));
  process.exit(status);
}
if (command === 'publish') appendFileSync(process.env.PUBLISHED, args.join(' ') + '\\n');
if (command === 'view') {
  const known = (process.env.KNOWN ?? '').split(' ').includes(args[0]);
  console.log(known ? '"1.2.3"' : '{ "error": { "code": "' + (process.env.VIEW_FAILS ?? 'E404') + '" } }');
  process.exit(known ? 0 : 1);
}
`;

/** In a hook of git these variables name the repository of the hook. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')),
);

class Repository {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'gyre-release-'));
  readonly published = path.join(this.folder, 'node_modules-published');

  constructor(context: TestContext) {
    context.after(() => rmSync(this.folder, { recursive: true, force: true }));
    for (const name of SCRIPTS) this.copy(`scripts/${name}.mjs`);
    for (const name of ['README.md', 'LICENSE', 'tsconfig.json', 'tsconfig.build.json', 'native/README.md']) {
      this.copy(name);
    }
    symlinkSync(path.join(root, 'node_modules'), path.join(this.folder, 'node_modules'));
    this.write('.gitignore', 'node_modules*\ndist/\ndist-packages/\nnative/build/\n');
    this.write('src/index.ts', 'export const answer: number = 42;\n');
    this.write('examples/answer.ts', "import { answer } from 'gyre';\n\nconsole.log(answer);\n");
    this.write('src/executor/worker-main.ts', "console.log('a worker');\n");
    this.write('src/cli/gyre.ts', "#!/usr/bin/env node\nconsole.log('a command');\n");
    this.write('src/cli/web/page.html', '<!doctype html>\n');
    this.write('native/src/addon.c', NATIVE);
    this.write('CHANGELOG.md', CHANGELOG);
    this.writeManifest({});
    this.git('init', '--quiet');
    this.commit();
  }

  copy(file: string): void {
    cpSync(path.join(root, file), path.join(this.folder, file));
  }

  write(file: string, text: string): void {
    mkdirSync(path.dirname(path.join(this.folder, file)), { recursive: true });
    writeFileSync(path.join(this.folder, file), text);
  }

  /** Writes package.json and package-lock.json of the version 1.2.3, with these differences. */
  writeManifest(differences: Record<string, unknown>): void {
    const base = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    const entry = { types: './dist/index.d.ts', default: './dist/index.js' };
    const manifest = { ...base, version: '1.2.3', exports: { '.': entry }, ...ADDRESSES, ...differences };
    this.write('package.json', JSON.stringify(manifest));
    const { version } = manifest;
    this.write('package-lock.json', JSON.stringify({ version, packages: { '': { version } } }));
  }

  git(...args: string[]): void {
    const identity = [
      '-c',
      'user.name=test',
      '-c',
      'user.email=test@host.example',
      '-c',
      'commit.gpgsign=false',
    ];
    const done = spawnSync('git', [...identity, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      env: ENVIRONMENT,
    });
    assert.equal(done.status, 0, done.stderr);
  }

  commit(): void {
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message', 'Change the repository');
  }

  /** Runs the script. It returns the exit code, the lines of the given kind, and all output. */
  release(
    args: string[] = [],
    env: Record<string, string> = {},
  ): { code: number | null; faults: string[]; output: string } {
    const npm = path.join(this.folder, 'node_modules-npm.mjs');
    writeFileSync(npm, NPM);
    const done = spawnSync(process.execPath, ['scripts/release.mjs', ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      env: { ...ENVIRONMENT, npm_execpath: npm, PUBLISHED: this.published, ...env },
    });
    const faults = [...done.stderr.matchAll(/^FAIL {2}(.*)$/gm)].map(([, fault = '']) => fault);
    return { code: done.status, faults, output: done.stdout + done.stderr };
  }

  /** Returns the arguments of each `npm publish`. */
  publications(): string[] {
    return existsSync(this.published) ? readFileSync(this.published, 'utf8').trimEnd().split('\n') : [];
  }
}

function assertFaults(found: string[], expected: RegExp[]): void {
  assert.equal(found.length, expected.length, found.join('\n'));
  for (const [i, pattern] of expected.entries()) assert.match(found[i] ?? '', pattern);
}

const MAIN = './dist-packages/gyre-1.2.3.tgz --access public --provenance';
const UV = targets.map(
  ({ cpu }) => `./dist-packages/gyre-uv-linux-${cpu}-gnu-1.2.3.tgz --access public --provenance`,
);
/** Why a native package of a release cannot be made here. */
const missing = targets.map(({ name }) => whyNotNative(name)).find((reason) => reason !== null) ?? false;

test('the release script prints the commands of a release, and publishes nothing by itself', (context) => {
  const repository = new Repository(context);
  const { code, output } = repository.release([], { PACK_BY_NPM: '1' });
  assert.equal(code, 0, output);
  assert.match(output, /^ {2}git tag --annotate v1\.2\.3 .*\n {2}git push origin v1\.2\.3$/m);
  assert.ok(output.includes(`  npm publish ${MAIN}`), output);
  for (const [i, { name }] of targets.entries()) {
    const own = UV[i] ?? '';
    if (whyNotNative(name) === null) assert.ok(output.indexOf(own) < output.indexOf(MAIN), output);
    assert.equal(output.includes(own), whyNotNative(name) === null, output);
  }
  assert.deepEqual(repository.publications(), []);
});

test('the release script lists every reason against a release at once', (context) => {
  const repository = new Repository(context);
  repository.git('tag', 'v2.0.0');
  repository.writeManifest({
    version: '2.0.0',
    repository: undefined,
    bugs: undefined,
    homepage: undefined,
    exports: { '.': './dist/index.js', './missing': './dist/missing.js' },
  });
  const { version, packages } = { version: '1.9.0', packages: { '': { version: '1.9.0' } } };
  repository.write('package-lock.json', JSON.stringify({ version, packages }));
  const { code, faults, output } = repository.release(['--check']);
  assert.equal(code, 1, output);
  assertFaults(faults, [
    /^package-lock\.json has the version 1\.9\.0/,
    /^CHANGELOG\.md has no section "## \[2\.0\.0\] - YYYY-MM-DD"/,
    /^package\.json has no "repository"/,
    /^package\.json has no "bugs"/,
    /^package\.json has no "homepage"/,
    /^the working tree has changes/,
    /^the tag v2\.0\.0 exists/,
    /^gyre lacks dist\/missing\.js$/,
  ]);
  assert.doesNotMatch(output, /npm publish/);
});

test('the release script refuses a short version, a section without date and entry, and an address that is not public', (context) => {
  const repository = new Repository(context);
  repository.writeManifest({ version: '1.2', repository: { type: 'git', url: 'file:///srv/git/gyre.git' } });
  repository.write('CHANGELOG.md', '# Changelog\n\n## [1.2]\n\n## [1.1.2] - 2026-01-01\n- An older entry.\n');
  repository.commit();
  assertFaults(repository.release().faults.slice(0, 4), [
    /^package\.json has the version 1\.2; a release needs one like 1\.2\.3/,
    /has the heading "## \[1\.2\]"; it needs the form/,
    /has no entry, a line that begins with "- ", in the section ## \[1\.2\]/,
    /^package\.json has no "repository"/,
  ]);
});

test('the release script publishes only the commit that the tag names', (context) => {
  const repository = new Repository(context);
  assert.match(repository.release(['--publish']).faults[0] ?? '', /^there is no tag v1\.2\.3/);
  repository.git('tag', 'v1.2.3');
  repository.write('src/index.ts', 'export const answer: number = 43;\n');
  repository.commit();
  assert.match(repository.release(['--publish']).faults[0] ?? '', /^the tag v1\.2\.3 names the commit/);
  assert.match(repository.release(['--publish', '--check']).output, /exclude each other/);
  assert.deepEqual(repository.publications(), []);
});

test('the release script publishes both packages with provenance, the native one first, and continues after a failure', {
  skip: missing,
}, (context) => {
  const repository = new Repository(context);
  repository.git('tag', '--annotate', 'v1.2.3', '--message', 'gyre 1.2.3');
  const unreachable = repository.release(['--publish'], { VIEW_FAILS: 'ECONNREFUSED' });
  assert.notEqual(unreachable.code, 0);
  assert.match(unreachable.output, /npm cannot tell whether it has @gyre\/uv-linux-x64-gnu 1\.2\.3/);
  assert.deepEqual(repository.publications(), []);

  const continued = repository.release(['--publish'], {
    KNOWN: '@gyre/uv-linux-x64-gnu@1.2.3 @gyre/uv-linux-arm64-gnu@1.2.3',
  });
  assert.equal(continued.code, 0, continued.output);
  assert.deepEqual(repository.publications(), [MAIN]);

  const whole = repository.release(['--publish']);
  assert.equal(whole.code, 0, whole.output);
  assert.deepEqual(repository.publications(), [MAIN, ...UV, MAIN]);
});

test('the release script publishes no native package that needs a later glibc than Node', {
  skip: missing,
}, (context) => {
  const repository = new Repository(context);
  const needed = '__attribute__((visibility("default"))) const char gyre_needs[] = "GLIBC_9.9";\n';
  repository.write('native/src/addon.c', NATIVE + needed);
  repository.commit();
  const checked = repository.release();
  assert.equal(checked.code, 0, checked.output);
  assert.match(
    checked.output,
    /^note {2}the native package for linux-x64 needs glibc 9\.9, and Node only 2\.28/m,
  );
  repository.git('tag', 'v1.2.3');
  const { faults } = repository.release(['--publish']);
  assertFaults(faults, [/linux-x64 needs glibc 9\.9/, /linux-arm64 needs glibc 9\.9/]);
});

test('the check of the tarballs demands a map for each file of dist/, and a source for each declaration', () => {
  const entries = [
    'index',
    'entry/sim',
    'entry/sim-register',
    'entry/node',
    'entry/testing',
    'entry/inspect',
    'entry/lowlevel',
    'entry/workers',
  ];
  const endings = ['js', 'js.map', 'd.ts', 'd.ts.map'];
  const shared = ['dist/core.js', 'src/net/transport.ts', 'dist/net/transport.d.ts'];
  const whole = [
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'src/cli/web/page.html'],
    ...['dist/gyre.js', 'dist/gyre.js.map'],
    ...shared.flatMap((name) => (name.startsWith('src/') ? [name] : [name, `${name}.map`])),
    ...entries.flatMap((name) => [`src/${name}.ts`, ...endings.map((ending) => `dist/${name}.${ending}`)]),
  ];
  assert.deepEqual(faultsOfMain(whole), []);
  const demanded = whole.filter((name) => !shared.includes(name) || name.startsWith('src/'));
  for (const lost of demanded) {
    assertFaults(faultsOfMain(whole.filter((name) => name !== lost)), [
      new RegExp(`^gyre lacks ${lost.replace(/[.]/g, '\\.')}(,|$)`),
    ]);
  }
  assertFaults(faultsOfMain([...whole, 'binding.gyp', 'test/a.test.ts']), [
    /belong into it: binding\.gyp, test\/a\.test\.ts$/,
  ]);
});

test('the check of the tarballs demands the binary, a README and the license in the native package', () => {
  assert.deepEqual(faultsOfNative(['gyre.node', 'package.json', 'README.md', 'LICENSE']), []);
  assert.deepEqual(faultsOfNative(['gyre.node', 'package.json', 'src/a.c']), [
    'the native package lacks README.md, LICENSE',
    'the native package has files that do not belong into it: src/a.c',
  ]);
});
