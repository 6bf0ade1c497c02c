/**
 * A backend throws {@link UnusableError} for a value of the host that it cannot use. The caller knows the
 * name of the argument, and turns it into an argument error.
 */
import { invalidArgType } from './validate.ts';

/** A value that a backend was given, and cannot use. */
export class UnusableError extends Error {
  /** The value, or the part of it that is wrong. */
  readonly value: unknown;
  /** The values that it accepts, in words: `a descriptor or a net.Socket`. */
  readonly accepted: string;
  /** The part of the argument that is wrong, such as `.cert`; empty for the whole argument. */
  readonly member: string;

  constructor(value: unknown, accepted: string, member: string = '') {
    super(`the value must be ${accepted}`);
    this.value = value;
    this.accepted = accepted;
    this.member = member;
  }
}

/**
 * Runs `use`. If it finds its value unusable, throws an error about the argument `name` instead.
 *
 * @param makeError by default makes a TypeError
 */
export function namingArgument<T>(
  name: string,
  use: () => T,
  makeError: (name: string, value: unknown, accepted: string) => Error = invalidArgType,
): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof UnusableError)) throw error;
    throw makeError(`${name}${error.member}`, error.value, error.accepted);
  }
}
