// npm run release: checks whether this commit can be released as the version of package.json, packs both
// tarballs into dist-packages/, and prints the commands that a person runs. It publishes nothing.
//
//   --check     the same, said explicitly
//   --publish   for .github/workflows/release.yml: checks that the tag names this commit, and publishes

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNative, targets } from './build-native.mjs';
import { faultsOfMain, faultsOfNative, packMain, packNative } from './pack.mjs';
import { npmCommand, root } from './setup.mjs';

/** Node 20 needs this version of glibc, and so the native package must not need a later one. */
const GLIBC = [2, 28];
const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
const destination = path.join(root, 'dist-packages');

/** @param {string} file */
const read = (file) => readFileSync(path.join(root, file), 'utf8');
const manifest = JSON.parse(read('package.json'));
const tag = `v${manifest.version}`;

/**
 * @typedef {object} Check
 * @property {string} title
 * @property {string[]} faults
 * @property {string[]} [notes] facts that stop a publication from here, but not one by the workflow
 */

/**
 * @param {string} command
 * @param {...string} args
 */
function run(command, ...args) {
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (done.error) throw done.error;
  return { ok: done.status === 0, output: done.stdout.trimEnd(), errors: done.stderr.trimEnd() };
}

/** @returns {Check} */
function checkVersion() {
  const faults = [];
  if (!VERSION.test(manifest.version)) {
    faults.push(
      `package.json has the version ${manifest.version}; a release needs one like 1.2.3 or 1.2.3-rc.1`,
    );
  }
  const lock = JSON.parse(read('package-lock.json'));
  for (const version of new Set([lock.version, lock.packages['']?.version])) {
    if (version === manifest.version) continue;
    faults.push(`package-lock.json has the version ${version}: run npm install --package-lock-only`);
  }
  return { title: `version ${manifest.version}`, faults };
}

/** @returns {Check} */
function checkChangelog() {
  const heading = `## [${manifest.version}]`;
  const sections = read('CHANGELOG.md').split(/^(?=## )/m);
  const section = sections.find((each) => each.startsWith(heading));
  const faults = [];
  if (section === undefined) {
    faults.push(
      `CHANGELOG.md has no section "${heading} - YYYY-MM-DD": rename "[Unreleased]", and give it the date`,
    );
  } else {
    const [first = '', ...lines] = section.split('\n');
    if (!/^ - \d{4}-\d{2}-\d{2}$/.test(first.slice(heading.length))) {
      faults.push(`CHANGELOG.md has the heading "${first}"; it needs the form "${heading} - YYYY-MM-DD"`);
    }
    if (!lines.some((line) => line.startsWith('- '))) {
      faults.push(`CHANGELOG.md has no entry, a line that begins with "- ", in the section ${heading}`);
    }
  }
  return { title: 'CHANGELOG.md', faults };
}

/** @returns {Check} */
function checkAddresses() {
  const url = '{ "type": "git", "url": "git+https://HOST/OWNER/NAME.git" }';
  const faults = [];
  if (!/^git\+https:\/\/.+\.git$/.test(manifest.repository?.url ?? '')) {
    faults.push(
      `package.json has no "repository": add ${url}. npm compares it with the repository that publishes, for the provenance`,
    );
  }
  for (const [name, value] of Object.entries({ bugs: manifest.bugs?.url, homepage: manifest.homepage })) {
    if (/^https:\/\//.test(value ?? '')) continue;
    const example = name === 'bugs' ? '{ "url": "https://…" }' : '"https://…"';
    faults.push(`package.json has no "${name}": add ${example}, so that users of npm find it`);
  }
  return { title: 'repository, bugs and homepage', faults };
}

/**
 * @param {boolean} publish
 * @returns {Check}
 */
function checkGit(publish) {
  const faults = [];
  const status = run('git', 'status', '--porcelain');
  const head = run('git', 'rev-parse', 'HEAD');
  if (!status.ok || !head.ok) {
    return {
      title: 'git',
      faults: [`git cannot tell the state of this folder: ${status.errors}${head.errors}`],
    };
  }
  if (status.output !== '') faults.push(`the working tree has changes: commit them\n${status.output}`);
  const tagged = run('git', 'rev-parse', '--verify', '--quiet', `refs/tags/${tag}^{commit}`);
  if (!publish && tagged.ok) faults.push(`the tag ${tag} exists: raise the version`);
  if (publish && tagged.output !== head.output) {
    faults.push(
      tagged.ok
        ? `the tag ${tag} names the commit ${tagged.output}, and this is ${head.output}`
        : `there is no tag ${tag}, which a publication needs`,
    );
  }
  return { title: publish ? `the tag ${tag} names this commit` : `clean, and without a tag ${tag}`, faults };
}

/**
 * @param {string} archive
 * @returns {any} the package.json in a tarball
 */
function manifestIn(archive) {
  const { ok, output, errors } = run('tar', '-xOzf', archive, 'package/package.json');
  if (!ok) throw new Error(`tar cannot read ${archive}: ${errors}`);
  return JSON.parse(output);
}

/**
 * Returns the latest version of glibc that a binary asks for, and that Node does not.
 *
 * @param {string} file
 */
function glibcBeyondNode(file) {
  const binary = readFileSync(file, 'latin1');
  const versions = [...binary.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
    Number(major),
    Number(minor),
  ]);
  return versions
    .filter((each) => compare(each, GLIBC) > 0)
    .sort(compare)
    .pop();
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function compare([a1 = 0, a2 = 0], [b1 = 0, b2 = 0]) {
  return a1 - b1 || a2 - b2;
}

/** @returns {Promise<{ check: Check, archives: string[] }>} the native tarballs first, because the other needs them */
async function packAll() {
  const main = await packMain(destination);
  const archive = path.join(destination, main.filename);
  /** @type {Required<Check>} */
  const check = { title: 'tarballs', faults: faultsOfMain(main.files.map((file) => file.path)), notes: [] };
  const archives = [];
  for (const { name } of targets) {
    const native = packNative(destination, name);
    if (typeof native === 'string') {
      check.notes.push(`the native package for ${name} cannot be made here: ${native}`);
      continue;
    }
    const nativeArchive = path.join(destination, native.filename);
    archives.push(nativeArchive);
    check.faults.push(...faultsOfNative(native.files.map((file) => file.path)));
    const published = manifestIn(nativeArchive);
    const wanted = manifestIn(archive).optionalDependencies?.[published.name];
    if (published.version !== manifest.version || wanted !== manifest.version) {
      check.faults.push(
        `the versions differ: gyre is ${manifest.version}, ${published.name} is ${published.version}, and gyre asks for ${wanted}`,
      );
    }
    const glibc = glibcBeyondNode(buildNative('release', name));
    if (glibc !== undefined) {
      check.notes.push(
        `the native package for ${name} needs glibc ${glibc.join('.')}, and Node only ${GLIBC.join('.')}: build it on an older system`,
      );
    }
  }
  return { check, archives: [...archives, archive] };
}

/**
 * @param {string} archive
 * @returns {string[]} the arguments of npm
 */
function publication(archive) {
  const file = path.relative(root, archive).split(path.sep).join('/');
  const next = manifest.version.includes('-') ? ['--tag', 'next'] : [];
  return ['publish', `./${file}`, '--access', 'public', '--provenance', ...next];
}

/**
 * Publishes the tarballs in their order. A repeated run continues: a version that npm already has is left as
 * it is.
 *
 * @param {string[]} archives
 */
function publishAll(archives) {
  const [npm = '', ...args] = npmCommand();
  for (const archive of archives) {
    const { name, version } = manifestIn(archive);
    const known = run(npm, ...args, 'view', `${name}@${version}`, 'version', '--json');
    if (known.ok && known.output !== '') {
      console.log(`skip  npm already has ${name} ${version}`);
      continue;
    }
    if (!known.ok && !known.output.includes('E404')) {
      throw new Error(`npm cannot tell whether it has ${name} ${version}:\n${known.output}${known.errors}`);
    }
    const { status } = spawnSync(npm, [...args, ...publication(archive)], { cwd: root, stdio: 'inherit' });
    if (status !== 0) throw new Error(`npm did not publish ${name} ${version}`);
    console.log(`ok    npm has ${name} ${version}`);
  }
}

/** @param {string[]} archives */
function instructions(archives) {
  const commands = archives.map((archive) => `  npm ${publication(archive).join(' ')}`);
  return `
gyre ${manifest.version} can be released by these commands:

  git tag --annotate ${tag} --message 'gyre ${manifest.version}'
  git push origin ${tag}

The tag starts .github/workflows/release.yml. It repeats all checks, and then runs:

${commands.join('\n')}`;
}

/**
 * @param {Check} check
 * @param {boolean} publish
 * @returns {boolean} whether it allows a release
 */
function report({ title, faults, notes = [] }, publish) {
  const fatal = publish ? [...faults, ...notes] : faults;
  if (!publish) for (const note of notes) console.log(`note  ${note}`);
  for (const fault of fatal) console.error(`FAIL  ${fault}`);
  if (fatal.length === 0) console.log(`ok    ${title}`);
  return fatal.length === 0;
}

async function main() {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, publish: { type: 'boolean', default: false } },
  });
  const { check, publish } = values;
  if (check && publish) throw new Error('--check and --publish exclude each other');
  const { check: tarballs, archives } = await packAll();
  const checks = [checkVersion(), checkChangelog(), checkAddresses(), checkGit(publish), tarballs];
  if (checks.map((each) => report(each, publish)).includes(false)) process.exitCode = 1;
  else if (publish) publishAll(archives);
  else console.log(instructions(archives));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
