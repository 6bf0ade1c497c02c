/**
 * A pool of Piscina's runs this: it imports what it is told and calls it.
 *
 * @param {{ module: string, name: string, args: unknown[] }} job
 */
// biome-ignore lint/style/noDefaultExport: Piscina looks for it
export default async ({ module, name, args }) => (await import(module))[name](...args);
