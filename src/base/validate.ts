/**
 * Argument checks. All errors of the form "argument, accepted values, actual value" are made here, in the
 * format of Node's own errors.
 */

/** A `TypeError` with Node's code for a value of the wrong type. */
export interface InvalidArgTypeError extends TypeError {
  code: 'ERR_INVALID_ARG_TYPE';
}

/**
 * Returns a short description of any value for a message. It never throws, although a proxy's traps and
 * getters may.
 */
export function describeValue(value: unknown): string {
  try {
    return describe(value);
  } catch {
    return typeof value === 'function' ? 'a function' : 'an object';
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return nameOf(value) === '' ? 'an anonymous function' : `function ${nameOf(value)}`;
    case 'object': {
      if (Array.isArray(value)) return `an array of ${value.length}`;
      const name = nameOf((value as object).constructor);
      return name === '' ? 'an object' : `an instance of ${name}`;
    }
    default:
      return String(value);
  }
}

/** A class may have a static `name` with any value. */
function nameOf(value: unknown): string {
  const name = typeof value === 'function' ? (value.name as unknown) : '';
  return typeof name === 'string' ? name : '';
}

export function invalidArgType(name: string, value: unknown, accepted: string): TypeError {
  const error = new TypeError(`The "${name}" argument must be ${accepted}; got ${describeValue(value)}`);
  (error as InvalidArgTypeError).code = 'ERR_INVALID_ARG_TYPE';
  return error;
}

export function outOfRange(name: string, value: unknown, accepted: string): RangeError {
  const error = new RangeError(`The "${name}" argument must be ${accepted}; got ${describeValue(value)}`);
  (error as RangeError & { code: string }).code = 'ERR_OUT_OF_RANGE';
  return error;
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw invalidArgType(name, value, 'a function');
}

/** Accepts any number except NaN as a deadline or a delay. Infinity means "never". */
export function checkSeconds(name: string, value: unknown): void {
  if (typeof value !== 'number') throw invalidArgType(name, value, 'a number of seconds');
  if (Number.isNaN(value)) throw outOfRange(name, value, 'a number of seconds, not NaN');
}

/** Checks as {@link checkSeconds}, and also accepts null for "no limit". */
export function checkSecondsOrNull(name: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== 'number') throw invalidArgType(name, value, 'a number of seconds or null');
  if (Number.isNaN(value)) throw outOfRange(name, value, 'a number of seconds, not NaN');
}

export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalidArgType(name, value, 'a boolean');
}

export function checkString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw invalidArgType(name, value, 'a string');
}

export function checkInteger(name: string, value: unknown, min: number, max: number): void {
  const accepted = `an integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw invalidArgType(name, value, accepted);
  if (!Number.isInteger(value) || value < min || value > max) throw outOfRange(name, value, accepted);
}

export function checkPort(name: string, value: unknown): void {
  checkInteger(name, value, 0, 65_535);
}

/**
 * Checks for the methods, as Node does, because a polyfill's signal or a signal of another realm is a signal,
 * too.
 */
export function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) return false;
  return typeof (value as Partial<AbortSignal>).addEventListener === 'function';
}

export function checkSignal(name: string, value: unknown): void {
  if (value === undefined || isSignal(value)) return;
  throw invalidArgType(name, value, 'an AbortSignal');
}

export function checkData(name: string, value: unknown): void {
  if (typeof value === 'string' || value instanceof Uint8Array) return;
  throw invalidArgType(name, value, 'a string or a Uint8Array');
}

/**
 * Accepts an object with known option names only. An unknown option is an error, because it would be ignored.
 */
export function checkOptions(name: string, value: unknown, known: readonly string[]): void {
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgType(name, value, 'an object');
  }
  for (const key in value) {
    if (!known.includes(key)) {
      throw invalidArgType(
        `${name}.${key}`,
        (value as Record<string, unknown>)[key],
        `absent (known options: ${known.join(', ')})`,
      );
    }
  }
}
