/**
 * Node's own modules. Each is loaded when its first property is read, because most programs need few of them,
 * and together they need more time and memory than gyre itself.
 */
interface NodeModules {
  readonly child_process: typeof import('node:child_process');
  readonly crypto: typeof import('node:crypto');
  readonly diagnostics_channel: typeof import('node:diagnostics_channel');
  readonly dgram: typeof import('node:dgram');
  readonly dns: typeof import('node:dns');
  readonly fs: typeof import('node:fs');
  readonly module: typeof import('node:module');
  readonly net: typeof import('node:net');
  readonly stream: typeof import('node:stream');
  readonly tls: typeof import('node:tls');
  readonly tty: typeof import('node:tty');
  readonly util: typeof import('node:util');
  readonly v8: typeof import('node:v8');
  readonly vm: typeof import('node:vm');
  readonly worker_threads: typeof import('node:worker_threads');
}

/** Don't import these modules by a statement in a file that `gyre` loads: that would load them at once. */
const NAMES: readonly (keyof NodeModules)[] = [
  'child_process',
  'crypto',
  'diagnostics_channel',
  'dgram',
  'dns',
  'fs',
  'module',
  'net',
  'stream',
  'tls',
  'tty',
  'util',
  'v8',
  'vm',
  'worker_threads',
];

export const node: NodeModules = lazily(NAMES, (name) => process.getBuiltinModule(`node:${name}`));

/** Returns an object that makes each property when it is read first. */
function lazily<T extends object>(names: readonly (keyof T)[], make: (name: keyof T) => unknown): T {
  const made = {} as T;
  for (const name of names) {
    Object.defineProperty(made, name, {
      configurable: true,
      get() {
        const value = make(name);
        Object.defineProperty(made, name, { value });
        return value;
      },
    });
  }
  return made;
}
