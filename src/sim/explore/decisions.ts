/**
 * Decisions, and a schedule as text.
 *
 * A schedule is the list of the decisions that are not usual. Each is known by its kind, its place, and its
 * number among the decisions of that kind at that place. So a decision that is taken out leaves the others
 * where they are, and a change in one part of a program seldom moves the decisions of another part.
 *
 *   transfer~timer@bank#3=1,delay@tcp%20client%3Ebank#1=4
 */
import type { ChoiceKind } from '../../backend/sim/choices.ts';

/** A decision that is not the usual one. */
export interface Decision {
  readonly kind: ChoiceKind;
  /** The name of a host, a task, or a way through the network. */
  readonly place: string;
  /** Its number among the decisions of this kind at this place, from 1. */
  readonly number: number;
  /** The option that was taken. 0 would be the usual one. */
  readonly choice: number;
  /** Its effect, for people. Empty before the schedule has run. */
  readonly text: string;
}

const KINDS: readonly string[] = [
  'order',
  'step',
  'timer',
  'ready',
  'job',
  'resolver',
  'delay',
  'split',
  'datagram',
  'reset',
  'cancel',
] satisfies ChoiceKind[];

const DECISION = /^([a-z]+)@([^#@,=]*)#([1-9]\d*)=([1-9]\d*)$/;

/** Returns the name by which a schedule finds a decision. */
export function keyOf(kind: string, place: string, number: number): string {
  return `${kind}@${encode(place)}#${number}`;
}

/** Returns a schedule as text that a shell takes without quotes. */
export function formatSchedule(name: string, decisions: readonly Decision[]): string {
  const list = decisions.map(({ kind, place, number, choice }) => `${keyOf(kind, place, number)}=${choice}`);
  return `${encode(name)}~${list.join(',')}`;
}

/** Returns the parts of a schedule as text, or null if it is none. */
export function parseSchedule(text: string): { name: string; decisions: Decision[] } | null {
  const border = text.indexOf('~');
  if (border < 0) return null;
  const name = decode(text.slice(0, border));
  const list = text.slice(border + 1);
  const decisions = list === '' ? [] : list.split(',').map(parseDecision);
  return name === null || decisions.includes(null) ? null : { name, decisions: decisions as Decision[] };
}

function parseDecision(text: string): Decision | null {
  const match = DECISION.exec(text);
  if (match === null) return null;
  const [, kind, encoded, number, choice] = match as unknown as [string, string, string, string, string];
  const place = decode(encoded);
  if (place === null || !KINDS.includes(kind)) return null;
  return { kind: kind as ChoiceKind, place, number: Number(number), choice: Number(choice), text: '' };
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*~]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
