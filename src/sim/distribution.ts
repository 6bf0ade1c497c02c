/** Random durations: the latencies of a network. */

import type { Draw } from '../backend/sim/fabric/rules.ts';
import type { Random } from '../backend/sim/random.ts';
import { checkOptions, checkSeconds, invalidArgType, outOfRange } from '../base/validate.ts';

/**
 * Seconds that each packet takes: a number for all, or a distribution.
 *
 * - `{ min, max }`: every value between the two is as probable.
 * - `{ mean, deviation }`: the normal distribution; the default deviation is a quarter of the mean.
 * - `{ mean, distribution: 'exponential' }`: many short ones and few long ones; `min` is added to each.
 * - `{ mean, deviation, distribution: 'lognormal' }`: as measured on the internet, with a long tail. The
 *   default deviation is the mean.
 */
export type Seconds =
  | number
  | { readonly min: number; readonly max: number }
  | {
      readonly mean: number;
      readonly deviation?: number;
      readonly min?: number;
      readonly distribution?: 'normal' | 'exponential' | 'lognormal';
    };

/** No packet is faster, so that an exchange of messages always moves time. */
const LEAST_SECONDS = 1e-6;
const DISTRIBUTIONS = ['normal', 'exponential', 'lognormal'];
const FIELDS = ['min', 'max', 'mean', 'deviation', 'distribution'];

/**
 * Checks a distribution, and returns the function that draws from it.
 *
 * @param others names of further options that the caller has checked
 */
export function drawOf(name: string, value: unknown, random: Random, others: readonly string[] = []): Draw {
  const draw = rawDraw(name, value, random, others);
  return () => Math.max(draw(), LEAST_SECONDS);
}

function rawDraw(name: string, value: unknown, random: Random, others: readonly string[]): Draw {
  if (typeof value === 'number') {
    checkDuration(name, value);
    return () => value;
  }
  if (typeof value !== 'object' || value === null)
    throw invalidArgType(name, value, 'a number of seconds or a distribution');
  checkOptions(name, value, [...FIELDS, ...others]);
  const { min = 0, max, mean, deviation, distribution = 'normal' } = value as Record<string, unknown>;
  checkDuration(`${name}.min`, min);
  if (max !== undefined) return uniform(name, min, max, mean, random);
  checkDuration(`${name}.mean`, mean);
  if (typeof distribution !== 'string' || !DISTRIBUTIONS.includes(distribution))
    throw outOfRange(`${name}.distribution`, distribution, `one of ${DISTRIBUTIONS.join(', ')}`);
  if (deviation !== undefined) checkDuration(`${name}.deviation`, deviation);
  const spread = deviation as number | undefined;
  if (distribution === 'exponential') {
    if (mean < min) throw outOfRange(`${name}.mean`, mean, `at least min (${min})`);
    return () => min + (mean - min) * exponential(random);
  }
  if (distribution === 'lognormal') return lognormal(mean, spread ?? mean, min, random);
  return () => Math.max(min, mean + (spread ?? mean / 4) * normal(random));
}

function uniform(name: string, min: number, max: unknown, mean: unknown, random: Random): Draw {
  checkDuration(`${name}.max`, max);
  if (mean !== undefined) throw outOfRange(name, { min, max, mean }, 'either min and max, or mean');
  if (max < min) throw outOfRange(`${name}.max`, max, `at least min (${min})`);
  return () => min + (max - min) * random.next();
}

function lognormal(mean: number, deviation: number, min: number, random: Random): Draw {
  if (mean === 0) return () => min;
  const variance = Math.log(1 + (deviation / mean) ** 2);
  const middle = Math.log(mean) - variance / 2;
  return () => Math.max(min, Math.exp(middle + Math.sqrt(variance) * normal(random)));
}

/** Returns a number of the exponential distribution with mean 1. */
export function exponential(random: Random): number {
  return -Math.log(1 - random.next());
}

/** Returns a number of the normal distribution with mean 0 and deviation 1 (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random.next());
}

/** @throws TypeError, RangeError */
export function checkDuration(name: string, value: unknown): asserts value is number {
  checkSeconds(name, value);
  if ((value as number) < 0 || value === Number.POSITIVE_INFINITY)
    throw outOfRange(name, value, 'a finite number of seconds, not negative');
}
