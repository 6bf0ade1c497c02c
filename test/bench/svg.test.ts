import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact } from '../../bench/cells.ts';
import type { Picture } from '../../bench/svg.ts';
import { svgOf } from '../../bench/svg.ts';

const picture: Picture = {
  title: 'Speed & size',
  panels: [
    {
      title: 'Echo <1 KiB>',
      note: 'messages/s, more is better',
      bars: [
        { label: 'gyre', value: 100, text: '100', look: 'gyre' },
        { label: 'C on libuv', value: 50, text: '50.0', look: 'peer' },
      ],
    },
  ],
};

test('the longest bar of a panel fills it, and the others have their share', () => {
  const widths = [...svgOf(picture).matchAll(/class="(?:gyre|peer)"[^>]* width="(\d+)"/g)].map(([, width]) =>
    Number(width),
  );
  assert.equal(widths.length, 2);
  assert.equal(widths[0], 2 * widths[1]!);
});

test('a picture has a title and a description with every figure, for readers who do not see it', () => {
  const svg = svgOf(picture);
  assert.match(svg, /role="img" aria-labelledby="title desc"/);
  assert.match(svg, /<title id="title">Speed &amp; size<\/title>/);
  assert.match(
    svg,
    /<desc id="desc">Echo &lt;1 KiB&gt; \(messages\/s, more is better\): gyre 100, C on libuv 50\.0\.</,
  );
});

test('a picture follows the reader’s choice of light or dark', () => {
  assert.match(svgOf(picture), /@media \(prefers-color-scheme: dark\)/);
});

test('a figure in a picture has three digits, and k or M behind it when it is large', () => {
  const texts = [0.275, 3.06, 43.21, 99.96, 164.4, 1039, 9994, 10_000, 154_321, 999_600].map(compact);
  const expected = ['0.28', '3.06', '43.2', '100', '164', '1,039', '9,994', '10.0k', '154k', '1.00M'];
  assert.deepEqual(texts, expected);
});
