import { NodeBackend } from '../backend/node/index.ts';
import { BaseEventLoop } from '../event-loop.ts';

/**
 * The portable loop: Node's own API, so it runs wherever that does.
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
