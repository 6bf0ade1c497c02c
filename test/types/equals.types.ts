import type { Equals } from './equals.ts';
import { check } from './equals.ts';

check<Equals<string, string>>();
check<Equals<[number, string?], [number, string?]>>();

// @ts-expect-error: any is not every type
// biome-ignore lint/suspicious/noExplicitAny: any is what this line is about
check<Equals<any, string>>();
// @ts-expect-error: a union is not one of its parts
check<Equals<string | number, string>>();
// @ts-expect-error: an optional field is not an absent one
check<Equals<{ a?: number }, object>>();
// @ts-expect-error: readonly counts
check<Equals<{ readonly a: number }, { a: number }>>();
