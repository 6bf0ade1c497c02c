import { NodeBackend } from '../backend/node/index.ts';
import { BaseEventLoop } from '../event-loop.ts';

/**
 * The portable loop, which uses only Node's own API and runs on every host that provides it.
 *
 * @example
 * ```ts
 * import { NodeEventLoop } from 'gyre';
 *
 * const loop = new NodeEventLoop();
 * console.log(await loop.runUntilComplete(async () => 42));
 * loop.close();
 * ```
 */
export class NodeEventLoop extends BaseEventLoop {
  constructor() {
    super(new NodeBackend());
  }
}
