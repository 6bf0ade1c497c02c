/** Functions that are passed to a worker by module and name, on the worker's side. */

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

/** The exports of a module. */
export type Exports = Readonly<Record<string, unknown>>;

export async function importModule(url: string): Promise<Exports> {
  return (await import(url)) as Exports;
}

/** @throws TypeError if the module exports no such function, with the names of those that it exports */
export function exportedFunction(module: Exports, url: string, name: string): AnyFunction {
  const found = module[name];
  if (typeof found === 'function') return found as AnyFunction;
  const functions = Object.keys(module).filter((key) => typeof module[key] === 'function');
  const there = functions.length === 0 ? 'no function at all' : functions.join(', ');
  throw new TypeError(`${url} exports no function ${JSON.stringify(name)}; it exports ${there}`);
}
