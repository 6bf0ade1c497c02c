/**
 * The text of a report: a sentence, then what it is about, one fact a line, then the exception with its
 * stack.
 *
 *   gyre: exception in a callback
 *     handle: onTick
 *     RangeError: too far
 *         at onTick (server.ts:12:9)
 */
import type { Shown } from '../base/one-line.ts';
import { factsOf } from '../base/one-line.ts';
import { node } from '../platform/node-modules.ts';
import type { ExceptionContext } from './types.ts';

const RED = '\u001b[31m';
const NORMAL = '\u001b[39m';

/** @param colors whether the reader is a terminal that shows colors */
export function reportText(context: ExceptionContext, colors: boolean): string {
  const { message, exception, sourceTraceback } = context;
  const title = `gyre: ${message}`;
  const lines = [colors ? `${RED}${title}${NORMAL}` : title];
  for (const [field, value] of facts(context))
    lines.push(typeof value === 'string' ? `  ${field}: ${value}` : [`  ${field}:`, ...value].join('\n    '));
  if (sourceTraceback !== undefined)
    lines.push('  created at (most recent call first):', indented(sourceTraceback));
  if (exception !== undefined) lines.push(indented(node.util.inspect(exception, { colors })));
  return lines.join('\n');
}

/** Returns the report as one line of JSON, for programs that collect logs. */
export function reportJson(context: ExceptionContext): string {
  const { message, exception, sourceTraceback } = context;
  return JSON.stringify({
    level: 'error',
    name: 'gyre',
    message,
    ...Object.fromEntries(facts(context)),
    ...(sourceTraceback === undefined ? {} : { createdAt: sourceTraceback.trim() }),
    ...(exception === undefined ? {} : { error: errorFields(exception) }),
  });
}

type Fact = [name: string, value: string | string[]];

/** Returns the objects and facts of a report, by their names. */
function facts({ message, exception, sourceTraceback, ...rest }: ExceptionContext): Fact[] {
  return Object.entries(rest)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([field, value]) => fact(field, value));
}

/**
 * Shows values that the library wrote as text in full. For values of the program it shows class and name
 * only, because they may be of any size.
 */
function fact(field: string, value: unknown): Fact {
  if (field === 'owner') return ['made by', `task ${String(value)}`];
  if (field === 'ageSeconds' && typeof value === 'number') return ['age', `${value.toFixed(3)} seconds`];
  if (field === 'tasks' && Array.isArray(value)) return ['tasks', value.map(describe).join(', ')];
  if (field === 'left' && Array.isArray(value)) return ['left in the loop', value.map(String)];
  return [field, describe(value)];
}

function describe(value: unknown): string {
  if (typeof (value as Shown)._facts === 'function') return factsOf(value as Shown);
  const kind = (value as object).constructor?.name ?? typeof value;
  const name = (value as { name?: unknown }).name;
  return typeof name === 'string' && name !== '' ? `${kind} ${name}` : kind;
}

function errorFields(exception: unknown): object {
  if (!(exception instanceof Error)) return { message: node.util.inspect(exception) };
  const { name, message, stack, cause, code } = exception as NodeJS.ErrnoException;
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    stack,
    ...(cause === undefined ? {} : { cause: errorFields(cause) }),
  };
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
