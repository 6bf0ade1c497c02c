/**
 * Finds the part of a value that cannot be copied to another thread. The host's error does not say which part
 * it is.
 */

/** The path of the part, as a JavaScript expression, and the part itself. */
export interface Uncloneable {
  path: string;
  value: unknown;
}

/**
 * Returns the first part of `value` that cannot be copied, or null if everything can be copied.
 *
 * @param copy the copy function: a process can copy fewer values than a thread
 * @param handedOver objects that need no copying
 */
export function findUncloneable(
  value: unknown,
  path: string,
  copy: (value: unknown) => unknown = structuredClone,
  handedOver: readonly unknown[] = [],
): Uncloneable | null {
  const excused = new Set(handedOver);
  return find(value, path);

  function find(value: unknown, path: string): Uncloneable | null {
    if (excused.has(value) || canBeCopied(value)) return null;
    if (typeof value !== 'object' || value === null) return { path, value };
    // A circular value contains itself.
    excused.add(value);
    let hasExcused = false;
    for (const [part, partPath] of partsOf(value, path)) {
      if (excused.has(part)) hasExcused = true;
      const found = find(part, partPath);
      if (found !== null) return found;
    }
    return hasExcused ? null : { path, value };
  }

  function canBeCopied(value: unknown): boolean {
    try {
      copy(value);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * Returns no parts if a getter or a proxy throws. Then the value itself counts as the part that cannot be
 * copied.
 */
function partsOf(value: object, path: string): [part: unknown, path: string][] {
  try {
    return readParts(value, path);
  } catch {
    return [];
  }
}

function readParts(value: object, path: string): [part: unknown, path: string][] {
  // The elements are numbers, and there may be many.
  if (ArrayBuffer.isView(value)) return [];
  if (Array.isArray(value)) return value.map((part, i) => [part, `${path}[${i}]`]);
  if (value instanceof Set) return [...value].map((part) => [part, `${path}[an entry of the set]`]);
  if (value instanceof Map) {
    return [...value].flatMap(([key, part]): [unknown, string][] => [
      [key, `${path}[a key of the map]`],
      [part, `${path}.get(${typeof key === 'string' ? JSON.stringify(key) : String(key)})`],
    ]);
  }
  return Object.entries(value).map(([key, part]) => [part, partPath(path, key)]);
}

function partPath(path: string, key: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
    ? `${path}.${key}`
    : `${path}[${JSON.stringify(key)}]`;
}
