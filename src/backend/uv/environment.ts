/** The environment of a child, with variables that are no text. */
import { readFileSync } from 'node:fs';

/** Stands in a string for bytes that are no UTF-8. */
const REPLACEMENT = '\uFFFD';

/** The variables of this process that are no UTF-8. */
interface Raw {
  /** Those of which only the value is none, by what Node makes of them. */
  readonly byText: ReadonlyMap<string, Uint8Array>;
  /** Those of which the name is none. */
  readonly others: readonly Uint8Array[];
}

let raw: Raw | null = null;

/**
 * Returns the variables as `NAME=value`, each a string or bytes.
 *
 * Facts. Node reads the environment as UTF-8: other bytes are lost in `process.env`, and variables whose
 * names have some are not there at all. Only the environment that the process began with can have such
 * variables: whatever JavaScript sets is UTF-8.
 *
 * What this means. A variable that still reads as it did in the beginning is passed on as it was, and so are
 * those that JavaScript does not see.
 *
 * @param given null: those of this process
 */
export function variables(given: Readonly<Record<string, string>> | null): (string | Uint8Array)[] {
  raw ??= readRaw();
  const { byText, others } = raw;
  const lines = Object.entries(given ?? process.env).map(([name, value]) => `${name}=${value}`);
  const all = byText.size === 0 ? lines : lines.map((line) => byText.get(line) ?? line);
  return given === null ? [...all, ...others] : all;
}

function readRaw(): Raw {
  const byText = new Map<string, Uint8Array>();
  const others: Uint8Array[] = [];
  for (const line of firstVariables()) {
    const text = line.toString();
    const at = text.indexOf(REPLACEMENT);
    if (at < 0) continue;
    if (at < text.indexOf('=')) others.push(line);
    else byText.set(text, line);
  }
  return { byText, others };
}

/** None where there is no `/proc`. */
function* firstVariables(): Generator<Buffer> {
  let all: Buffer;
  try {
    all = readFileSync('/proc/self/environ');
  } catch {
    return;
  }
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(0, at);
    const line = all.subarray(at, end < 0 ? all.length : end);
    yield line;
    at += line.length + 1;
  }
}
