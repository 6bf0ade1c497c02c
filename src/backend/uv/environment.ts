/** The environment variables of a child, including those that are not valid UTF-8. */
import { node } from '../../platform/node-modules.ts';

/** Node puts this character in place of bytes that are not UTF-8. */
const REPLACEMENT = '\uFFFD';

/** The variables of this process that are not valid UTF-8. */
interface Raw {
  /** Those with a valid name, by the text that Node makes of the line. */
  readonly byText: ReadonlyMap<string, Uint8Array>;
  /** Those whose name is not valid. */
  readonly others: readonly Uint8Array[];
}

let raw: Raw | null = null;

const first: NodeJS.ProcessEnv = process.env;
let firstIsOwn: boolean | null = null;

/**
 * Whether `process.env` is Node's own object, which sets the variables of the process. On a worker it is a
 * copy of them, and a program can replace it.
 */
function isOwn(): boolean {
  firstIsOwn ??= node.worker_threads.isMainThread && isNodes(first);
  return firstIsOwn && process.env === first;
}

/** Node makes the prototype of its own object, and nothing else has it. */
function isNodes(variables: object): boolean {
  const prototype = Object.getPrototypeOf(variables);
  return !node.util.types.isProxy(variables) && prototype !== null && prototype !== Object.prototype;
}

/**
 * Returns the variables as `NAME=value`, each a string or bytes; null for the variables of the process.
 *
 * Node reads the environment as UTF-8. `process.env` loses the invalid bytes of a value, and lacks a variable
 * whose name has invalid bytes. Only variables from the start of the process can have invalid bytes, because
 * JavaScript sets UTF-8. So a variable that still has its first value is passed on with its original bytes,
 * and so is a variable that `process.env` lacks.
 *
 * @param given null: the variables of this process
 */
export function variables(given: Readonly<Record<string, string>> | null): (string | Uint8Array)[] | null {
  if (given === null && isOwn()) return null;
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

/** Yields the variables at the start of the process; none if there is no `/proc`. */
function* firstVariables(): Generator<Buffer> {
  let all: Buffer;
  try {
    all = node.fs.readFileSync('/proc/self/environ');
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
