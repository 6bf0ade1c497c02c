import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress, literalFamily } from '../../../src/base/address.ts';

// literalFamily() must agree with Node, because the sockets of the host use its rules.

test('literalFamily() distinguishes IPv4 and IPv6 literals from names', () => {
  const expected: [string, 0 | 4 | 6][] = [
    ['127.0.0.1', 4],
    ['0.0.0.0', 4],
    ['255.255.255.255', 4],
    ['256.0.0.1', 0],
    ['1.2.3', 0],
    ['1.2.3.4.5', 0],
    ['01.2.3.4', 0],
    ['1.2.3.4 ', 0],
    ['0x7f.0.0.1', 0],
    ['2130706433', 0],
    ['::', 6],
    ['::1', 6],
    ['1::', 6],
    ['1:2:3:4:5:6:7:8', 6],
    ['1:2:3:4:5:6:7::', 6],
    ['1:2:3:4:5:6:7:8::', 0],
    ['1:2:3:4:5:6:7', 0],
    ['1:2:3:4:5:6:7:8:9', 0],
    ['::ffff:1.2.3.4', 6],
    ['::1.2.3.4', 6],
    ['1.2.3.4::', 0],
    ['::ffff:1.2.3.256', 0],
    ['1::2::3', 0],
    [':::', 0],
    [':1', 0],
    ['1:', 0],
    ['12345::', 0],
    ['fe80::1%eth0', 6],
    ['fe80::1%', 0],
    ['%eth0', 0],
    ['[::1]', 0],
    ['', 0],
    ['localhost', 0],
    ['::g', 0],
  ];
  for (const [host, family] of expected) {
    assert.equal(literalFamily(host), family, JSON.stringify(host));
    assert.equal(isIP(host), family, `Node disagrees about ${JSON.stringify(host)}`);
  }
});

test('literalFamily() agrees with Node about any text that looks like an address', () => {
  const group = fc.stringMatching(/^[0-9a-fA-F]{0,5}$/);
  const byte = fc.oneof(fc.integer({ min: 0, max: 300 }).map(String), fc.constantFrom('', '00', '01', '1a'));
  const dotted = fc.array(byte, { minLength: 3, maxLength: 5 }).map((parts) => parts.join('.'));
  const colons = fc
    .array(fc.oneof({ weight: 6, arbitrary: group }, { weight: 1, arbitrary: dotted }), { maxLength: 10 })
    .map((parts) => parts.join(':'));
  const zone = fc.constantFrom('', '', '', '%eth0', '%1', '%', '%%', '%a/b', '%a b', '%br-0.1:2');
  const soup = fc.stringMatching(/^[0-9a-f:.]{0,20}$/);
  const host = fc.oneof(
    dotted,
    fc.tuple(colons, zone).map(([a, b]) => a + b),
    soup,
    fc.ipV4(),
    fc.ipV6(),
  );
  fc.assert(
    fc.property(host, (text) => {
      assert.equal(literalFamily(text), isIP(text), JSON.stringify(text));
    }),
    { numRuns: 20_000 },
  );
});

test('formatAddress() writes host and port, IPv6 in brackets, and a path as it is', () => {
  assert.equal(formatAddress(['127.0.0.1', 80]), '127.0.0.1:80');
  assert.equal(formatAddress(['::1', 80, 0, 0]), '[::1]:80');
  assert.equal(formatAddress('/run/socket'), '/run/socket');
});
