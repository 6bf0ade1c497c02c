/**
 * Runs in Piscina's workers: imports the module of the job and calls its function.
 *
 * @param {{ module: string, name: string, args: unknown[] }} job
 */
// biome-ignore lint/style/noDefaultExport: Piscina looks for it
export default async ({ module, name, args }) => (await import(module))[name](...args);
