/**
 * Makes a program smaller as long as it differs in the same way: takes statements out, and blocks out of
 * their statements.
 */
import type { Comparison } from './compare.ts';
import type { Program, Step } from './program.ts';

/** Tried at once: one pass through both interpreters. */
const BATCH = 60;

/**
 * @param compare runs programs on both
 * @param differs whether a smaller program still shows what is looked for
 */
export async function shrink(
  program: Program,
  compare: (programs: readonly Program[]) => Promise<Comparison[]>,
  differs: (comparison: Comparison) => boolean,
): Promise<Program> {
  let smallest = program;
  let from = 0;
  for (;;) {
    const tried = smaller(smallest).slice(from, from + BATCH);
    if (tried.length === 0) return smallest;
    const found = (await compare(tried)).findIndex(differs);
    if (found < 0) {
      from += BATCH;
    } else {
      smallest = tried[found] as Program;
      from = 0;
    }
  }
}

/** All programs that are one cut smaller; the smallest first. */
function smaller(program: Program): Program[] {
  return [...variantsOf(program.main)]
    .map((main) => ({ main, size: JSON.stringify(main).length }))
    .sort((a, b) => a.size - b.size)
    .map(({ main }) => ({ ...program, main }));
}

/** Every list of statements that is one cut smaller. */
function* variantsOf(steps: readonly Step[]): Iterable<Step[]> {
  for (const [index, step] of steps.entries()) {
    const before = steps.slice(0, index);
    const after = steps.slice(index + 1);
    yield [...before, ...after];
    for (const inner of innerOf(step)) if (inner.length > 0) yield [...before, ...inner, ...after];
    for (const variant of simplified(step)) yield [...before, variant, ...after];
  }
}

/** The blocks that could stand in a statement's place. */
function innerOf(step: Step): Step[][] {
  switch (step.op) {
    case 'timeout':
    case 'group':
    case 'call':
    case 'repeat':
    case 'hold':
      return [step.body];
    case 'try':
      return [step.body, [...step.body, ...step.last]];
    default:
      return [];
  }
}

/** The statement itself, one cut smaller. */
function* simplified(step: Step): Iterable<Step> {
  switch (step.op) {
    case 'timeout':
    case 'group':
    case 'call':
    case 'repeat':
    case 'hold':
    case 'spawn':
    case 'groupSpawn':
      for (const body of variantsOf(step.body)) yield { ...step, body };
      return;
    case 'callSoon':
    case 'callLater':
    case 'onDone':
      for (const calls of variantsOf(step.calls)) yield { ...step, calls: calls as typeof step.calls };
      return;
    case 'gather':
    case 'asCompleted':
    case 'wait':
      for (let index = 0; index < step.references.length && step.references.length > 1; index++) {
        yield { ...step, references: step.references.filter((_, other) => other !== index) };
      }
      return;
    case 'try':
      if (step.rethrow) yield { ...step, rethrow: false };
      for (const body of variantsOf(step.body)) yield { ...step, body };
      for (const handler of variantsOf(step.handler)) yield { ...step, handler };
      for (const last of variantsOf(step.last)) yield { ...step, last };
  }
}
