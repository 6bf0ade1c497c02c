import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainToASCII } from 'node:url';
import { asciiHost } from '../../src/base/host-name.ts';

test('asciiHost() returns an ASCII host unchanged', () => {
  for (const host of [
    '',
    'localhost',
    'Example.COM',
    'example.com.',
    '_dmarc.example.com',
    'xn--a',
    'xn--bcher-kva.example',
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '::1',
    'fe80::1%eth0',
    '<broadcast>',
    'a b',
    'a%41',
    '*.example.com',
    'x'.repeat(70),
  ]) {
    assert.equal(asciiHost(host), host);
  }
});

test('asciiHost() converts a name beyond ASCII as a URL does, in every spelling', () => {
  for (const [host, ascii] of [
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.Example', 'xn--bcher-kva.example'],
    ['bu\u0308cher.example', 'xn--bcher-kva.example'],
    ['ｂücher．example', 'xn--bcher-kva.example'],
    ['bücher。example', 'xn--bcher-kva.example'],
    ['bücher.example.', 'xn--bcher-kva.example.'],
    ['_x.bü_cher.example', '_x.xn--b_cher-3ya.example'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['straße.de', 'xn--strae-oqa.de'],
    ['ｌocalhost', 'localhost'],
    ['１２７．０．０．１', '127.0.0.1'],
    ['exa\u00admple.com', 'example.com'],
  ]) {
    assert.equal(asciiHost(host as string), ascii);
    assert.equal(domainToASCII(host as string), ascii);
  }
});

test('asciiHost() returns null for a name without an ASCII form, and a name that a URL would interpret otherwise', () => {
  for (const host of [
    '\u00ad',
    '\ud800.com',
    '\u200d.com',
    'xn--ü',
    'bü:80',
    'ü@example.com',
    'bü/example',
    'bü?example',
    'bü#example',
    'bü\\example',
    'bü%41.example',
    'bü\tcher',
    'bü cher',
    'bü"cher',
    '[ü]',
    'ｆｅ８０：：１',
    'bü\u2100.example',
    'bü.1',
  ]) {
    assert.equal(asciiHost(host), null, host);
  }
});

test('asciiHost() accepts any zone name in an address', () => {
  assert.equal(asciiHost('fe80::1%éth0'), 'fe80::1%éth0');
});
