import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Needle, ReadBuffer } from '../../src/streams/read-buffer.ts';
import { collectGarbage, heapUsed } from '../helpers/gc.ts';
import { giveAway } from '../helpers/give-away.ts';

function bufferOf(...chunks: string[]): ReadBuffer {
  const buffer = new ReadBuffer();
  for (const chunk of chunks) buffer.push(Buffer.from(chunk));
  return buffer;
}

function needle(...parts: string[]): Needle {
  return new Needle(parts.map((part) => Buffer.from(part)));
}

/** Larger than the size up to which neighbours are merged. */
const LARGE = 2000;

test('ReadBuffer returns data within one chunk as a view of it, without a copy', () => {
  const chunk = Buffer.from('one two');
  const buffer = new ReadBuffer();
  buffer.push(chunk);
  const one = buffer.take(3);
  assert.equal(one.toString(), 'one');
  assert.equal(one.buffer, chunk.buffer);
  assert.equal(one.byteOffset, chunk.byteOffset);
  assert.equal(buffer.length, 4);
});

test('ReadBuffer returns a chunk that is taken whole as it is', () => {
  const chunk = Buffer.from('whole');
  const buffer = new ReadBuffer();
  buffer.push(chunk);
  assert.equal(buffer.take(buffer.length), chunk);
  assert.equal(buffer.length, 0);
});

test('ReadBuffer gives no wrong byte and never loops when a part that was taken is given away with the rest', () => {
  const calls: Record<string, (buffer: ReadBuffer) => unknown> = {
    take: (buffer) => buffer.take(1),
    'take across chunks': (buffer) => buffer.take(buffer.length),
    discard: (buffer) => buffer.discard(buffer.length),
    firstLength: (buffer) => buffer.firstLength(),
    find: (buffer) => buffer.find(needle('\n')),
  };
  for (const [name, call] of Object.entries(calls)) {
    const buffer = new ReadBuffer();
    buffer.push(Buffer.from(new TextEncoder().encode('one\ntwo').buffer));
    giveAway(buffer.take(4).buffer);
    for (const more of ['', 'three\n', 'x'.repeat(LARGE)]) {
      buffer.push(Buffer.from(more));
      assert.throws(() => call(buffer), { code: 'EFAULT' }, `${name} after ${more}`);
    }
  }
});

test('ReadBuffer joins data across chunks', () => {
  const buffer = bufferOf('a'.repeat(LARGE), 'b'.repeat(LARGE), 'c'.repeat(LARGE));
  assert.equal(buffer.take(1).toString(), 'a');
  assert.equal(buffer.take(2 * LARGE).toString(), `${'a'.repeat(LARGE - 1)}${'b'.repeat(LARGE)}c`);
  assert.equal(buffer.take(buffer.length).toString(), 'c'.repeat(LARGE - 1));
});

test('ReadBuffer returns nothing for a length of zero, empty or not', () => {
  const buffer = new ReadBuffer();
  assert.equal(buffer.take(0).length, 0);
  assert.equal(buffer.take(buffer.length).length, 0);
  buffer.push(Buffer.alloc(0));
  assert.equal(buffer.length, 0);
  assert.equal(buffer.firstLength(), 0);
  buffer.push(Buffer.from('x'));
  assert.equal(buffer.take(0).length, 0);
  assert.equal(buffer.take(buffer.length).toString(), 'x');
});

test('ReadBuffer.firstLength() is the number of bytes that can be taken without a copy', () => {
  const buffer = bufferOf('a'.repeat(LARGE), 'b'.repeat(LARGE));
  assert.equal(buffer.firstLength(), LARGE);
  buffer.take(1500);
  assert.equal(buffer.firstLength(), LARGE - 1500);
  buffer.take(LARGE - 1500);
  assert.equal(buffer.firstLength(), LARGE);
});

test('ReadBuffer.discard() drops bytes across chunks', () => {
  const buffer = bufferOf('a'.repeat(LARGE), 'b'.repeat(LARGE), 'cd');
  buffer.discard(2 * LARGE + 1);
  assert.equal(buffer.take(buffer.length).toString(), 'd');
});

test('ReadBuffer.find() returns the end of the first match, and its beginning', () => {
  const buffer = bufferOf('key: value\r\nnext\r\n');
  assert.equal(buffer.find(needle('\r\n')), 12);
  assert.equal(buffer.matchStart, 10);
  assert.equal(buffer.find(needle('\n')), 12);
  assert.equal(buffer.matchStart, 11);
  assert.equal(buffer.find(needle('absent')), -1);
});

test('ReadBuffer.find() finds a separator that is cut into chunks in any way', () => {
  const separator = '--boundary--';
  for (let cut = 0; cut <= separator.length; cut++) {
    for (let second = cut; second <= separator.length; second++) {
      // Long neighbours keep the pieces from being merged into one chunk.
      const pieces = [
        'a'.repeat(LARGE) + separator.slice(0, cut),
        separator.slice(cut, second),
        separator.slice(second) + 'b'.repeat(LARGE),
      ];
      const buffer = bufferOf(...pieces);
      assert.equal(buffer.find(needle(separator)), LARGE + separator.length, `cut at ${cut} and ${second}`);
      assert.equal(buffer.matchStart, LARGE);
    }
  }
});

test('ReadBuffer.find() finds a separator that begins with a repetition of itself', () => {
  const buffer = bufferOf(`${'x'.repeat(LARGE)}aab`, `aabaac${'y'.repeat(LARGE)}`);
  assert.equal(buffer.find(needle('aabaac')), LARGE + 9);
});

test('ReadBuffer.find() returns the match that ends first, and of two that end together the shorter one', () => {
  const buffer = bufferOf('..abcd..');
  assert.equal(buffer.find(needle('abcd', 'bc')), 5);
  assert.equal(buffer.matchStart, 3);
  assert.equal(buffer.find(needle('abc', 'c', 'bc')), 5);
  assert.equal(buffer.matchStart, 4);
  assert.equal(buffer.find(needle('d', 'a')), 3);
});

test('ReadBuffer.find() reuses a search only for the same bytes', () => {
  const buffer = bufferOf('one\ntwo');
  assert.equal(buffer.find(needle('\r')), -1);
  assert.equal(buffer.find(needle('\n')), 4);
  assert.equal(buffer.find(needle('\r', '\n')), 4);
  assert.equal(buffer.find(needle('\r', 'e')), 3);
});

test('a Needle copies the bytes that it was made from', () => {
  const bytes = Buffer.from('\n');
  const made = new Needle([bytes]);
  bytes[0] = 0;
  assert.equal(bufferOf('a\n').find(made), 2);
});

/** A chunk that counts the bytes that each search in it has to look at. */
function watchedChunk(onSearch: (bytes: number) => void): Buffer {
  const chunk = Buffer.alloc(LARGE, 0x61);
  chunk.indexOf = (value: string | number | Uint8Array, from?: number | BufferEncoding): number => {
    onSearch(LARGE - Number(from ?? 0));
    return Buffer.prototype.indexOf.call(chunk, value, from as number);
  };
  return chunk;
}

test('ReadBuffer searches no byte twice, however often find() is called', () => {
  const buffer = new ReadBuffer();
  const made = needle('\n');
  let searched = 0;
  for (let i = 0; i < 200; i++) {
    buffer.push(
      watchedChunk((bytes) => {
        searched += bytes;
      }),
    );
    assert.equal(buffer.find(made), -1);
    assert.equal(buffer.find(made), -1);
  }
  assert.equal(searched, 200 * LARGE);
});

test('ReadBuffer skips chunks in which a long separator can no longer begin', () => {
  const buffer = new ReadBuffer();
  const made = needle(`\r\n${'-'.repeat(70)}`);
  let searches = 0;
  for (let i = 0; i < 200; i++) {
    buffer.push(
      watchedChunk(() => {
        searches++;
      }),
    );
    assert.equal(buffer.find(made), -1);
  }
  assert.ok(searches <= 400, `${searches} searches`);
});

/** Returns the number of bytes that all searches look at while `body` runs. */
function bytesSearched(body: () => void): number {
  const { indexOf } = Buffer.prototype;
  let searched = 0;
  Buffer.prototype.indexOf = function (this: Buffer, value: number | Uint8Array, from = 0): number {
    const found = indexOf.call(this, value, from as number);
    searched += (found < 0 ? this.length : found + 1) - Number(from);
    return found;
  } as typeof indexOf;
  try {
    body();
  } finally {
    Buffer.prototype.indexOf = indexOf;
  }
  return searched;
}

const LINE = `${'x'.repeat(49)}\n`;
const LINES = 20_000;

/** Separators of which a part is absent, and one that alternates with another. */
const withAbsentParts: Record<string, Needle[]> = {
  'the absent part being the shorter one': [needle('\0', 'x\n')],
  'the absent part being the longer one': [needle('\n', '\r\n\r\n')],
  'most of several parts being absent': [needle('\n', '\r', '\r\n', '--end--')],
  'another needle being asked for in between': [needle('\n', '\0'), needle('\n')],
};

for (const [which, needles] of Object.entries(withAbsentParts)) {
  for (const chunkBytes of [LINE.length * LINES, 64 * 1024, 1777]) {
    test(`ReadBuffer searches for several separators in linear time, ${which}, in chunks of ${chunkBytes} bytes`, () => {
      const all = Buffer.from(LINE.repeat(LINES));
      const buffer = new ReadBuffer();
      for (let at = 0; at < all.length; at += chunkBytes) buffer.push(all.subarray(at, at + chunkBytes));
      const searched = bytesSearched(() => {
        for (let i = 0; i < LINES; i++) {
          assert.equal(buffer.find(needles[i % needles.length] as Needle), LINE.length);
          buffer.discard(LINE.length);
        }
      });
      assert.equal(buffer.length, 0);
      // Each search looks at each byte a bounded number of times, and never beyond the match.
      assert.ok(searched <= 4 * 4 * all.length, `${searched} of ${all.length} bytes`);
    });
  }
}

test('ReadBuffer searches for several absent separators in linear time', () => {
  const made = needle('\n', '\0', '\r\n');
  const buffer = new ReadBuffer();
  const chunk = Buffer.alloc(LARGE, 'x');
  const searched = bytesSearched(() => {
    for (let i = 0; i < 500; i++) {
      buffer.push(chunk);
      assert.equal(buffer.find(made), -1);
    }
  });
  assert.ok(searched <= 3 * 2 * 500 * LARGE, `${searched} bytes`);
});

test("ReadBuffer finds a match that contains another separator's match only where that one is absent", () => {
  const long = `<${'-'.repeat(500)}>`;
  const made = needle(long, '-x-');
  const text = `${'.'.repeat(50)}<${'-'.repeat(300)}x${'-'.repeat(300)}>`;
  assert.equal(bufferOf(text).find(made), text.indexOf('-x-') + 3);
  assert.equal(bufferOf(`${'.'.repeat(50)}${long}-x-`).find(made), 50 + long.length);
});

test('ReadBuffer merges small neighbours, so that single bytes do not cost an object each', () => {
  const buffer = new ReadBuffer();
  for (let i = 0; i < 100_000; i++) buffer.push(Buffer.of(i & 0xff));
  assert.equal(buffer.length, 100_000);
  let chunks = 0;
  let position = 0;
  while (buffer.length > 0) {
    for (const byte of buffer.take(buffer.firstLength())) assert.equal(byte, position++ & 0xff);
    chunks++;
  }
  assert.ok(chunks < 200, `${chunks} chunks`);
});

test('ReadBuffer.keep() copies small parts of larger memory, without what was taken, and no other chunk', () => {
  const buffer = new ReadBuffer();
  const memory = Buffer.alloc(1024 * 1024, 'abc');
  const own = Buffer.alloc(LARGE);
  for (const chunk of [memory.subarray(0, 500_000), memory.subarray(0, LARGE), own]) buffer.push(chunk);
  buffer.take(500_000 - 2000);
  buffer.keep();
  const rest = buffer.take(buffer.firstLength());
  const part = buffer.take(buffer.firstLength());
  assert.ok(rest.equals(memory.subarray(500_000 - 2000, 500_000)));
  assert.ok(part.equals(memory.subarray(0, LARGE)));
  assert.deepEqual([rest.buffer.byteLength, part.buffer.byteLength], [2000, LARGE]);
  assert.equal(buffer.take(buffer.firstLength()), own);
});

test('ReadBuffer does not change data that it returned when it merges', () => {
  const buffer = bufferOf('abcd');
  const given = buffer.take(2);
  buffer.push(Buffer.from('efgh'));
  assert.equal(buffer.take(buffer.length).toString(), 'cdefgh');
  assert.equal(given.toString(), 'ab');
});

test('ReadBuffer keeps no reference to a chunk that was taken out while others remain', async () => {
  const buffer = new ReadBuffer();
  const refs = pushTwentyAndTakeTen(buffer);
  await collectGarbage();
  assert.deepEqual(
    refs.map((ref) => ref.deref() !== undefined),
    [...Array(10).fill(false), ...Array(10).fill(true)],
  );
  assert.equal(buffer.length, 10 * LARGE);
});

function pushTwentyAndTakeTen(buffer: ReadBuffer): WeakRef<Buffer>[] {
  const chunks = Array.from({ length: 20 }, () => Buffer.alloc(LARGE));
  for (const chunk of chunks) buffer.push(chunk);
  for (let i = 0; i < 10; i++) buffer.take(LARGE);
  return chunks.map((chunk) => new WeakRef(chunk));
}

test('ReadBuffer keeps the right position over a long run of pushes and takes', () => {
  const buffer = new ReadBuffer();
  const made = needle('\n');
  let pushed = 0;
  let taken = 0;
  for (let i = 0; i < 2000; i++) {
    // Three in, two out: a backlog builds up, and the used-up front of the list is cut off repeatedly.
    for (let j = 0; j < 3; j++) buffer.push(Buffer.from(`${'x'.repeat(LARGE)}${pushed++}\n`));
    for (let j = 0; j < 2; j++) {
      const end = buffer.find(made);
      assert.equal(buffer.take(end).toString().slice(LARGE), `${taken++}\n`);
    }
    if (i % 3 === 0) assert.equal(buffer.find(needle('absent')), -1);
  }
  while (buffer.length > 0)
    assert.equal(buffer.take(buffer.find(made)).toString().slice(LARGE), `${taken++}\n`);
  assert.equal(taken, pushed);
});

test('ReadBuffer continues a search at the right place after a part was taken', () => {
  const made = needle('\r\n');
  for (let n = 0; n <= 3 * LARGE; n += 100) {
    const buffer = bufferOf('a'.repeat(LARGE), 'b'.repeat(LARGE), 'c'.repeat(LARGE - 1));
    buffer.push(Buffer.from('\r'));
    assert.equal(buffer.find(made), -1);
    buffer.take(n);
    buffer.push(Buffer.from('\n'));
    assert.equal(buffer.find(made), n === 3 * LARGE ? -1 : 3 * LARGE - n + 1);
  }
});

test('ReadBuffer searches nothing again when only searched data was taken', () => {
  const buffer = new ReadBuffer();
  let searched = 0;
  for (let i = 0; i < 100; i++) {
    buffer.push(
      watchedChunk((bytes) => {
        searched += bytes;
      }),
    );
  }
  const made = needle('\n');
  for (let i = 0; i < 99; i++) {
    assert.equal(buffer.find(made), -1);
    buffer.take(LARGE);
  }
  assert.equal(searched, 100 * LARGE);
  buffer.push(Buffer.from(`${'b'.repeat(LARGE)}\n`));
  assert.equal(buffer.find(made), 2 * LARGE + 1);
});

test('ReadBuffer that is never empty does not grow with the data that passes through it', async () => {
  const buffer = new ReadBuffer();
  const chunk = Buffer.alloc(LARGE);
  buffer.push(chunk);
  const before = await heapUsed();
  for (let i = 0; i < 1_000_000; i++) {
    buffer.push(chunk);
    buffer.take(LARGE);
  }
  assert.ok((await heapUsed()) - before < 2e6);
  assert.equal(buffer.length, LARGE);
});

test('ReadBuffer passes 64 MiB on in 64 KiB chunks, and copies once only the data across a border', () => {
  const SIZE = 64 * 1024;
  const chunk = Buffer.alloc(SIZE, 0x61);
  let copied = 0;
  chunk.copy = function (
    this: Buffer,
    target: Uint8Array,
    at?: number,
    start = 0,
    end = this.length,
  ): number {
    copied += end - start;
    return Buffer.prototype.copy.call(this, target, at, start, end);
  };
  const buffer = new ReadBuffer();
  for (let i = 0; i < 1024; i++) buffer.push(chunk);
  while (buffer.length > 0) buffer.take(Math.min(1000, buffer.length));
  assert.ok(copied <= 1024 * 1000, `${copied} bytes`);
});

test('ReadBuffer behaves like a plain Buffer for any order of calls', () => {
  const letter = fc.constantFrom('a', 'b', '\r', '\n');
  // Few separators, so that the same one is searched again and again.
  const parts = fc.constantFrom<string[][]>(['\n'], ['\r\n'], ['a', 'bb'], ['ab\r\n', '\n\n', 'b']);
  const call = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('push' as const),
        text: fc.string({ unit: letter, maxLength: 8 }),
      }),
    },
    // Larger than the size up to which chunks are merged, so that borders remain between them.
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('pushLarge' as const),
        text: fc.string({ unit: letter, minLength: 1, maxLength: 8 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('find' as const),
        parts,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('takeMatch' as const),
        parts,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('take' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('discard' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('first' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeAll' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('keep' as const) }) },
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
      const buffer = new ReadBuffer();
      let model: Buffer = Buffer.alloc(0);
      const takeBoth = (n: number): void => {
        assert.equal(buffer.take(n).toString(), model.subarray(0, n).toString());
        model = model.subarray(n);
      };
      const findBoth = (parts: string[]): number => {
        const expected = findInModel(model, parts);
        const end = buffer.find(needle(...parts));
        assert.equal(end, expected.end);
        if (end >= 0) assert.equal(buffer.matchStart, expected.start);
        return end;
      };
      for (const step of calls) {
        switch (step.kind) {
          case 'push':
          case 'pushLarge': {
            // Fillers of one letter that is in no separator, so that borders lie between the words.
            const filler = step.kind === 'pushLarge' ? '.'.repeat(1100) : '';
            const text = `${step.text}${filler}${step.text}`;
            buffer.push(Buffer.from(text));
            model = Buffer.concat([model, Buffer.from(text)]);
            break;
          }
          case 'find':
            findBoth(step.parts);
            break;
          case 'takeMatch': {
            const end = findBoth(step.parts);
            if (end >= 0) takeBoth(end);
            break;
          }
          case 'take':
            takeBoth(Math.floor(step.share * model.length));
            break;
          case 'discard': {
            const n = Math.floor(step.share * model.length);
            buffer.discard(n);
            model = model.subarray(n);
            break;
          }
          case 'first': {
            const n = buffer.firstLength();
            assert.equal(n > 0, model.length > 0);
            takeBoth(n);
            break;
          }
          case 'takeAll':
            takeBoth(model.length);
            break;
          case 'keep':
            buffer.keep();
            break;
        }
        assert.equal(buffer.length, model.length);
      }
      assert.equal(buffer.take(buffer.length).toString(), model.toString());
    }),
    { numRuns: 2000 },
  );
});

/** The definition: the match that ends first, and of several the shortest. */
function findInModel(model: Buffer, parts: string[]): { start: number; end: number } {
  let best = { start: -1, end: -1 };
  for (const part of [...parts].sort((a, b) => a.length - b.length)) {
    const start = model.indexOf(part);
    if (start < 0) continue;
    const end = start + part.length;
    if (best.end < 0 || end < best.end) best = { start, end };
  }
  return best;
}
