/**
 * Makes a failing schedule small, by delta debugging (Zeller and Hildebrandt, 2002): it takes decisions out,
 * first many at a time, as long as the scenario fails in the same way. A decision that must stay gets the
 * smallest option that fails: the earliest delivery, the party that has waited longest.
 */
import type { Decision } from './decisions.ts';

/** Returns the decisions that a run with these decisions has taken, if it fails in the same way; or null. */
export type Fails = (decisions: readonly Decision[]) => Promise<readonly Decision[] | null>;

/**
 * Returns a part of the decisions that fails, from which none can be taken out.
 *
 * @param mostRuns the part may be larger if more runs would be needed
 */
export async function shrink(
  decisions: readonly Decision[],
  fails: Fails,
  mostRuns: number,
): Promise<readonly Decision[]> {
  let left = mostRuns;
  const tryOut: Fails = async (tried) => (left-- > 0 ? await fails(tried) : null);
  const few = await removeMany(decisions, tryOut);
  return await lowerChoices(await moveForward(few, tryOut), tryOut);
}

async function removeMany(decisions: readonly Decision[], fails: Fails): Promise<readonly Decision[]> {
  let current = decisions;
  let size = current.length;
  while (size >= 1) {
    const smaller = await removeChunk(current, size, fails);
    if (smaller === null) size >>= 1;
    else {
      current = smaller;
      size = Math.min(size, current.length);
    }
  }
  return current;
}

/** Takes out the first chunk of `size` decisions without which the scenario fails. Later ones go first. */
async function removeChunk(
  decisions: readonly Decision[],
  size: number,
  fails: Fails,
): Promise<readonly Decision[] | null> {
  for (let end = decisions.length; end > 0; end -= size) {
    const rest = [...decisions.slice(0, Math.max(0, end - size)), ...decisions.slice(end)];
    const taken = await fails(rest);
    if (taken !== null && taken.length < decisions.length) return taken;
  }
  return null;
}

/**
 * Takes out a decision and gives its number to the next one of its kind and place, and so on: two lost
 * packets before the one that counts are the same failure as that one alone.
 */
async function moveForward(decisions: readonly Decision[], fails: Fails): Promise<readonly Decision[]> {
  let current = decisions;
  for (let index = 0; index < current.length; ) {
    const taken = await fails(movedForward(current, index));
    if (taken !== null && taken.length < current.length) current = taken;
    else index++;
  }
  return current;
}

function movedForward(decisions: readonly Decision[], index: number): Decision[] {
  const out = decisions[index] as Decision;
  let { number } = out;
  return decisions.toSpliced(index, 1).map((one, at) => {
    if (at < index || one.kind !== out.kind || one.place !== out.place) return one;
    const moved = { ...one, number };
    number = one.number;
    return moved;
  });
}

async function lowerChoices(decisions: readonly Decision[], fails: Fails): Promise<readonly Decision[]> {
  let current = decisions;
  for (let index = 0; index < current.length; index++) {
    const one = current[index] as Decision;
    for (let choice = 1; choice < one.choice; choice++) {
      const taken = await fails(current.with(index, { ...one, choice }));
      if (taken === null || taken.length > current.length) continue;
      current = taken;
      break;
    }
  }
  return current;
}
