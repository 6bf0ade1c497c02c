/**
 * Functions by module and name. The paths of a module differ between machines, so its file name identifies
 * it, and a hash of its file is its version.
 */
import { invalidArgType } from '../base/validate.ts';
import { node } from '../platform/node-modules.ts';

/** A module that a worker may run functions of. */
export interface JobModule {
  readonly name: string;
  readonly url: string;
  /** null: a module without a file, such as `node:path`. */
  readonly version: string | null;
}

/** Modules by name, or a list of modules whose file names are their names. */
export type JobModules = readonly (URL | string)[] | Readonly<Record<string, URL | string>>;

/** @throws TypeError for a module that is no absolute URL, and for two modules with the same name */
export function namedModules(modules: JobModules): Map<string, JobModule> {
  const entries: [string | null, URL | string][] = Array.isArray(modules)
    ? modules.map((module) => [null, module])
    : Object.entries(modules);
  const found = new Map<string, JobModule>();
  for (const [given, module] of entries) {
    const url = checkModule(module);
    const name = given ?? nameOfModule(url);
    if (found.has(name)) {
      throw invalidArgType(
        'options.modules',
        modules,
        `modules with different names, but two are named ${name}: name them, as in { 'images': url }`,
      );
    }
    found.set(name, { name, url, version: versionOf(url) });
  }
  return found;
}

/** The file name of a module, without its folder. */
export function nameOfModule(url: string): string {
  const { protocol, pathname } = new URL(url);
  return protocol === 'file:' ? decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1)) : url;
}

/** Returns a hash of the module's file. A module that the file imports does not change it. */
export function versionOf(url: string): string | null {
  if (!url.startsWith('file:')) return null;
  const { createHash } = node.crypto;
  return createHash('sha256')
    .update(node.fs.readFileSync(new URL(url)))
    .digest('hex')
    .slice(0, 16);
}

function checkModule(module: unknown): string {
  if (module instanceof URL) return module.href;
  if (typeof module === 'string' && URL.canParse(module)) return module;
  throw invalidArgType(
    'options.modules',
    module,
    "absolute URLs, such as new URL('./jobs.js', import.meta.url)",
  );
}
