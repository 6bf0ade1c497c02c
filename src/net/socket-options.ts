/** Reads and sets socket options, after a check of the arguments. */
import type { SystemOptions } from '../backend/backend.ts';
import { checkInteger, invalidArgType } from '../base/validate.ts';

const LARGEST_INT = 0x7fff_ffff;
const SMALLEST_INT = -0x8000_0000;
/** Bytes. No system has a longer option. */
const LONGEST_OPTION = 1024;

export function getOption(
  system: SystemOptions,
  level: number,
  option: number,
  length: number | undefined,
): Buffer | number {
  checkOption(level, option);
  if (length === undefined) return system.getOption(level, option);
  checkInteger('length', length, 1, LONGEST_OPTION);
  return system.getOption(level, option, length);
}

export function setOption(
  system: SystemOptions,
  level: number,
  option: number,
  value: number | boolean | Uint8Array,
): void {
  checkOption(level, option);
  if (typeof value === 'number') checkInteger('value', value, SMALLEST_INT, LARGEST_INT);
  else if (typeof value !== 'boolean' && !(value instanceof Uint8Array)) {
    throw invalidArgType('value', value, 'a number, a boolean or a Uint8Array');
  }
  system.setOption(level, option, typeof value === 'boolean' ? Number(value) : value);
}

function checkOption(level: unknown, option: unknown): void {
  checkInteger('level', level, 0, LARGEST_INT);
  checkInteger('option', option, 0, LARGEST_INT);
}
