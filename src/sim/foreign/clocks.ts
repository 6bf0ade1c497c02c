/**
 * The clocks of JavaScript and Node: `Date`, `Intl`, `Temporal`, `performance` and `process`.
 *
 * Fake-timer libraries replace these for a whole process. Here each call asks where it runs: code of a
 * simulated host gets the clock of that host, all other code gets the real clock.
 */
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';
import type { Patches } from './patches.ts';

/** Milliseconds. Sums of seconds are off by less, and must not show the millisecond before. */
const ROUNDING = 1e-6;
const NS_A_SECOND = 1_000_000_000n;

/** Returns the milliseconds since 1970 on the clock of a host, as `Date.now()` shows them. */
export function wallTime(place: Place): number {
  return Math.floor(place.wallTime() + ROUNDING);
}

/** Returns the seconds since the host's clock was 0. */
function monotonic(place: Place): number {
  return place.kernel.host.time();
}

export function patchClocks(patches: Patches): void {
  patchDate(patches);
  patchIntl(patches);
  patchTemporal(patches);
  patchPerformance(patches);
  patchProcess(patches);
}

function patchDate(patches: Patches): void {
  const RealDate = Date;
  const VirtualDate: DateConstructor = new Proxy(RealDate, {
    apply(target, thisArg, args) {
      const place = currentPlace();
      return place === null ? Reflect.apply(target, thisArg, args) : new target(wallTime(place)).toString();
    },
    construct(target, args, newTarget) {
      const place = args.length === 0 ? currentPlace() : null;
      return Reflect.construct(
        target,
        place === null ? args : [wallTime(place)],
        newTarget === VirtualDate ? target : newTarget,
      );
    },
  });
  patches.value(globalThis, 'Date', VirtualDate);
  patches.method(RealDate, 'now', () => (place) => wallTime(place));
  patches.value(RealDate.prototype, 'constructor', VirtualDate);
}

function patchIntl(patches: Patches): void {
  const prototype = Intl.DateTimeFormat.prototype;
  patches.method(prototype, 'formatToParts', (original) => (place, args, self) => {
    return original.apply(self, args[0] === undefined ? [wallTime(place)] : args);
  });
  patches.getter(prototype, 'format', (original) => (self) => {
    const format = original.call(self) as (date?: unknown) => string;
    const place = currentPlace();
    return place === null ? format : (date?: unknown) => format(date === undefined ? wallTime(place) : date);
  });
}

interface TemporalLike {
  readonly Instant: { fromEpochNanoseconds(ns: bigint): { toZonedDateTimeISO(zone: unknown): Zoned } };
  readonly Now: object & { timeZoneId(): string };
}

interface Zoned {
  toPlainDateTime(): unknown;
  toPlainDate(): unknown;
  toPlainTime(): unknown;
}

function patchTemporal(patches: Patches): void {
  const temporal = (globalThis as { Temporal?: TemporalLike }).Temporal;
  if (temporal === undefined) return;
  const { Now, Instant } = temporal;
  const instant = (place: Place) =>
    Instant.fromEpochNanoseconds(BigInt(Math.floor((place.wallTime() + ROUNDING) * 1e3)) * 1000n);
  const zoned = (place: Place, [zone]: readonly unknown[]) =>
    instant(place).toZonedDateTimeISO(zone ?? Now.timeZoneId());
  patches.method(Now, 'instant', () => (place) => instant(place));
  patches.method(Now, 'zonedDateTimeISO', () => (place, args) => zoned(place, args));
  patches.method(Now, 'plainDateTimeISO', () => (place, args) => zoned(place, args).toPlainDateTime());
  patches.method(Now, 'plainDateISO', () => (place, args) => zoned(place, args).toPlainDate());
  patches.method(Now, 'plainTimeISO', () => (place, args) => zoned(place, args).toPlainTime());
}

function patchPerformance(patches: Patches): void {
  const prototype = Object.getPrototypeOf(performance) as object;
  patches.method(prototype, 'now', () => (place) => monotonic(place) * 1000);
  patches.getter(prototype, 'timeOrigin', (original) => (self) => {
    const place = currentPlace();
    return place === null ? original.call(self) : place.wallTime() - monotonic(place) * 1000;
  });
}

function patchProcess(patches: Patches): void {
  const { hrtime } = process;
  const nanoseconds = (place: Place): bigint => BigInt(Math.round(monotonic(place) * 1e9));
  patches.method(hrtime, 'bigint', () => (place) => nanoseconds(place));
  patches.method(process, 'hrtime', (original) => (place, args) => {
    const [since] = args as ([number, number] | undefined)[];
    // The original rejects a wrong argument.
    if (since !== undefined) original(since);
    const [seconds, rest] = since ?? [0, 0];
    const passed = nanoseconds(place) - BigInt(seconds) * NS_A_SECOND - BigInt(rest);
    // As Node: whole seconds, and nanoseconds that are not negative.
    const below = ((passed % NS_A_SECOND) + NS_A_SECOND) % NS_A_SECOND;
    return [Number((passed - below) / NS_A_SECOND), Number(below)];
  });
  patches.method(process, 'uptime', () => (place) => monotonic(place));
}
