/** Copies the arguments of a job, and names the one that cannot be copied. */
import { invalidArgType } from '../base/validate.ts';
import { isShared } from './process-bytes.ts';
import { findUncloneable } from './uncloneable.ts';

/** The accepted values in error messages: "The argument must be …". */
const COPYABLE = 'a value that can be copied to a worker';
const NOT_SHARED =
  'unshared memory, because a process has its own memory: pass a copy, or use ThreadPoolExecutor';

/** Calls `pack`, and finds the value that cannot be copied if it fails. The host's error does not name it. */
export function copying<T>(
  args: readonly unknown[],
  copy: (value: unknown) => unknown,
  transfer: readonly unknown[],
  pack: () => T,
): T {
  try {
    return pack();
  } catch (cause) {
    const found = findUncloneable(args, 'args', copy, transfer);
    const error =
      found === null
        ? invalidArgType('options.transfer', transfer, 'a list of transferable objects, each listed once')
        : invalidArgType(found.path, found.value, isShared(found.value) ? NOT_SHARED : COPYABLE);
    throw Object.assign(error, { cause });
  }
}
