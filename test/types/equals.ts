// Type tests need no tool: a *.types.ts file here is never run, only compiled by `npm run types`. It states
// what must hold with `check<Equals<...>>()`, and what must not compile with `@ts-expect-error`: an
// expectation that no longer fails is itself an error.

/**
 * `true` when `A` and `B` are the same type, else `false`. Mutual assignability is not enough: `any` is
 * assignable to everything, and `{ a?: 1 }` to `{}`. Two generic signatures are only alike when their
 * conditions are identical.
 */
export type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only when its argument is `true`. */
export function check<_T extends true>(): void {}
