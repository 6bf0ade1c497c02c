/**
 * Values as text in Redis: the bytes of V8's structured clone (`v8.serialize`), in base64. A value keeps what
 * `structuredClone()` keeps: dates, maps, sets, bigints, typed arrays, errors and circular references.
 */
import { counted } from '../base/one-line.ts';
import { describeValue } from '../base/validate.ts';
import { copying } from '../executor/copying.ts';
import { toBytes } from '../executor/process-bytes.ts';
import { findUncloneable } from '../executor/uncloneable.ts';
import { node } from '../platform/node-modules.ts';

/** Bytes. BullMQ keeps each result twice: in its job and in the stream of events. */
export const DEFAULT_MAX_BYTES = 1_048_576;

/** The job in Redis. Times are milliseconds on the clock of Redis. */
export interface JobData {
  readonly module: string;
  readonly name: string;
  /** The hash of the module's file; null: a module without a file. */
  readonly version: string | null;
  readonly args: string;
  readonly otherVersion: 'wait' | 'fail';
  /** Seconds before the first retry. */
  readonly backoff: number;
  readonly notBefore?: number;
  readonly deadline?: number;
  /** Seconds: the deadline as the caller gave it, for the message. */
  readonly timeout?: number;
}

export function encodeArgs(args: readonly unknown[], maxBytes: number): string {
  return limited(
    'the arguments',
    copying(args, toBytes, [], () => toBytes(args)),
    maxBytes,
  );
}

/** @param name the name of the function, for the message */
export function encodeResult(value: unknown, name: string, maxBytes: number): string {
  return limited(`the result of ${name}`, resultBytes(value, name), maxBytes);
}

export function encode(value: unknown): string {
  return Buffer.from(toBytes(value)).toString('base64');
}

/** @throws Error if the text was written by another program, or by a V8 with a newer format */
export function decode(text: unknown): unknown {
  try {
    return node.v8.deserialize(Buffer.from(text as string, 'base64'));
  } catch (cause) {
    const message = `a value in Redis cannot be read: Node ${process.versions.node} cannot decode it, so a program of another kind or a much newer Node wrote it`;
    throw Object.assign(new Error(message, { cause }), { code: 'ERR_DECODE' });
  }
}

/** Copies a value as Redis does: for `copyError()`. */
export function copyByBytes(value: unknown): unknown {
  return node.v8.deserialize(toBytes(value));
}

function resultBytes(value: unknown, name: string): Uint8Array {
  try {
    return toBytes(value);
  } catch (cause) {
    const found = findUncloneable(value, 'it', copyByBytes);
    const part = found === null ? '' : `: ${found.path} is ${describeValue(found.value)}`;
    const error = new TypeError(`the result of ${name} cannot be copied to another machine${part}`, {
      cause,
    });
    throw Object.assign(error, { code: 'ERR_INVALID_RETURN_VALUE' });
  }
}

function limited(subject: string, bytes: Uint8Array, maxBytes: number): string {
  if (bytes.length <= maxBytes) return Buffer.from(bytes).toString('base64');
  const error = new RangeError(
    `${subject} of ${counted(bytes.length, 'byte')} exceed the limit of ${maxBytes} bytes (maxBytes): ` +
      'store large data in a file, a database or an object store, and pass its name',
  );
  throw Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}
