/** Functions that are passed to a worker by module and name, on the worker's side. */

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

/** @throws TypeError if the module exports no such function, with the names of those that it exports */
export async function importedFunction(url: string, name: string): Promise<AnyFunction> {
  const module = (await import(url)) as Record<string, unknown>;
  const found = module[name];
  if (typeof found === 'function') return found as AnyFunction;
  const functions = Object.keys(module).filter((key) => typeof module[key] === 'function');
  const there = functions.length === 0 ? 'no function at all' : functions.join(', ');
  throw new TypeError(`${url} exports no function ${JSON.stringify(name)}; it exports ${there}`);
}
