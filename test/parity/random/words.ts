/** Errors and values in the words of the logs. */
import {
  CancelledError,
  InvalidStateError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  TimeoutError,
} from '../../../src/index.ts';
import type { Caught } from './program.ts';

/** The error that a program raises itself. */
export class Failure extends Error {}

export function nameOf(error: unknown): string {
  if (error instanceof CancelledError) return 'Cancelled';
  if (error instanceof TimeoutError) return 'Timeout';
  if (error instanceof Failure) return error.message;
  if (error instanceof AggregateError) return `Group(${error.errors.map(nameOf).join(', ')})`;
  if (error instanceof InvalidStateError) return 'Misuse';
  if (error instanceof QueueEmpty || error instanceof QueueFull || error instanceof QueueShutDown) {
    return error.name;
  }
  return `unexpected ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
}

export function catches(kinds: readonly Caught[], error: unknown): boolean {
  if (kinds.includes('Any')) return true;
  if (error instanceof Failure) return kinds.includes('Failure');
  if (error instanceof AggregateError) return kinds.includes('Group');
  return kinds.includes(nameOf(error) as Caught);
}

export function words(value: unknown): string {
  if (value instanceof Error) return nameOf(value);
  if (Array.isArray(value)) return `[${value.map(words).join(', ')}]`;
  return value === null || value === undefined || value === true ? '-' : String(value);
}
