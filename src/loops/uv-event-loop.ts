import { UvBackend } from '../backend/uv/index.ts';
import { BaseEventLoop } from '../event-loop.ts';

export { whyNoNativeBackend } from '../backend/uv/index.ts';

/** The native loop. */
export class UvEventLoop extends BaseEventLoop {
  constructor() {
    super(new UvBackend());
  }
}
