/** A worker that serves HTTP by `node:http`. */
import type { WorkerContext } from '../../src/entry/workers.ts';

export async function main(context: WorkerContext): Promise<void> {
  await context.serve((_request, response) => response.end(`worker ${context.worker}`));
}
