/** Reasons for the portable backend on systems that have no native package. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { whyNoPackage } from '../../../src/backend/uv/addon.ts';

/** Needs a process of its own: it changes the process object. */
function on(platform: string, arch: string, glibc: string | undefined): string | null {
  const before = { platform: process.platform, arch: process.arch };
  const report = mock.method(process.report, 'getReport', () => ({ header: { glibcVersionRuntime: glibc } }));
  Object.defineProperties(process, { platform: { value: platform }, arch: { value: arch } });
  try {
    return whyNoPackage();
  } finally {
    Object.defineProperties(process, {
      platform: { value: before.platform },
      arch: { value: before.arch },
    });
    report.mock.restore();
  }
}

test('a system with a native package is Linux on x64 or arm64 with glibc', () => {
  assert.equal(on('linux', 'x64', '2.36'), null);
  assert.equal(on('linux', 'arm64', '2.36'), null);
});

test('a system without a native package gets a reason that names it', () => {
  assert.equal(on('darwin', 'arm64', undefined), 'there is no native package for darwin arm64');
  assert.equal(on('linux', 'riscv64', '2.36'), 'there is no native package for linux riscv64');
});

test('a Linux with musl gets its C library as the reason', () => {
  assert.match(on('linux', 'x64', undefined) ?? '', /needs glibc, .* \(musl\)$/);
});

test('looking for the C library leaves the options of the process report as they were', () => {
  const { report } = process as { report: { excludeNetwork?: boolean } };
  const before = report.excludeNetwork;
  whyNoPackage();
  assert.equal(report.excludeNetwork, before);
});
