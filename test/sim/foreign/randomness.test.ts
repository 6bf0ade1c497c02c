import assert from 'node:assert/strict';
import { getRandomValues, randomBytes, randomFill, randomFillSync, randomInt, randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { inHost } from './hosts.ts';

async function draw(): Promise<unknown[]> {
  return [
    Math.random(),
    randomBytes(8).toString('hex'),
    (await promisify(randomBytes)(8)).toString('hex'),
    randomInt(10),
    randomInt(5, 1_000_000),
    await promisify<number, number>(randomInt)(1000),
    randomUUID(),
    crypto.randomUUID(),
    Buffer.from(crypto.getRandomValues(new Uint8Array(5))).toString('hex'),
    String(getRandomValues(new Uint32Array(2))),
    randomFillSync(Buffer.alloc(8), 4).toString('hex'),
    Buffer.from(
      await promisify<Uint8Array>(randomFill)(new Uint8Array(7)).then((filled) => filled ?? []),
    ).toString('hex'),
  ];
}

async function drawIn(seed: number): Promise<unknown[]> {
  let drawn: unknown[] = [];
  await inHost(async () => {
    drawn = await draw();
  }, seed);
  return drawn;
}

describe('random numbers inside a simulated host', () => {
  test('the seed decides every random number', async () => {
    const first = await drawIn(7);
    assert.deepEqual(await drawIn(7), first);
    const other = await drawIn(8);
    first.forEach((value, i) => {
      // A digit may be the same by chance.
      if (i !== 3) assert.notEqual(value, other[i], `number ${i}`);
    });
  });

  test('the numbers have the forms of the real ones', async () => {
    const [random, , , digit, ranged, , uuid, webUuid, , , tail] = (await drawIn(3)) as [
      number,
      string,
      string,
      number,
      number,
      number,
      string,
      string,
      string,
      string,
      string,
    ];
    assert.ok(random >= 0 && random < 1);
    assert.ok(digit >= 0 && digit < 10);
    assert.ok(ranged >= 5 && ranged < 1_000_000);
    const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    assert.match(uuid, form);
    assert.match(webUuid, form);
    assert.match(tail, /^00000000/);
  });

  test('wrong arguments throw as they do outside', async () => {
    await inHost(async () => {
      assert.throws(() => randomBytes(-1), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => randomInt(5, 5), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => randomBytes(5, 'no' as never), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => crypto.getRandomValues(new Float32Array(2) as never), {
        name: 'TypeMismatchError',
      });
    });
  });

  test('outside of every host the numbers are real', async () => {
    const before = [Math.random, randomBytes];
    const first = await draw();
    assert.notDeepEqual(await draw(), first);
    assert.deepEqual([Math.random, randomBytes], before);
  });
});
