/** Errors of jobs in Redis, with class, code, cause, stack and the machine on which they were thrown. */
import { hostname } from 'node:os';
import { BrokenExecutorError } from '../base/errors.ts';
import { describeValue } from '../base/validate.ts';
import type { CopiedThrow } from '../executor/error-copy.ts';
import { copyError, restoreError } from '../executor/error-copy.ts';
import { copyByBytes, decode, encode } from './encoding.ts';

/** The machine and process of the worker: the property `machine` of an error that a job has thrown. */
export interface Machine {
  readonly hostname: string;
  readonly pid: number;
}

/** The field of a job in Redis with the error of its last attempt. */
export const ERROR_FIELD = 'gyre:error';

interface SavedError {
  readonly copied: CopiedThrow;
  readonly machine: Machine;
  /** BullMQ's `failedReason`. It differs if the job ended in another way later. */
  readonly reason: string;
}

export function encodeError(thrown: unknown): string {
  return encode({
    copied: copyError(thrown, copyByBytes),
    machine: { hostname: hostname(), pid: process.pid },
    reason: reasonOf(thrown),
  } satisfies SavedError);
}

/** Returns the text that BullMQ shows for a thrown value. */
export function reasonOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : describeValue(thrown);
  return typeof message === 'string' ? message : describeValue(message);
}

/**
 * @param saved the field {@link ERROR_FIELD}
 * @param reason BullMQ's `failedReason`
 */
export function decodeError(saved: string | null, reason: string): unknown {
  const {
    copied,
    machine,
    reason: savedReason,
  } = (saved === null ? {} : decode(saved)) as Partial<SavedError>;
  if (copied === undefined || savedReason !== reason) {
    return new BrokenExecutorError(`the job was given up: ${reason}`);
  }
  const error = restoreError(copied);
  if (error instanceof Error) Object.defineProperty(error, 'machine', { value: machine, enumerable: true });
  return error;
}
