/** Which part of a value cannot be copied to another thread: the host only says that something cannot. */

/** Where it is, as one would write it, and what it is. */
export interface Uncloneable {
  path: string;
  value: unknown;
}

/**
 * The first part of `value` that cannot be copied; null when all of it can.
 *
 * @param copy how it is copied: a process takes less than a thread
 * @param handedOver what needs no copying
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
    // Itself among its parts, if it bites its own tail.
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

/** None, where a getter or a proxy throws: then it is the value itself that cannot be copied. */
function partsOf(value: object, path: string): [part: unknown, path: string][] {
  try {
    return readParts(value, path);
  } catch {
    return [];
  }
}

function readParts(value: object, path: string): [part: unknown, path: string][] {
  // Its elements are numbers, of which there may be many.
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
