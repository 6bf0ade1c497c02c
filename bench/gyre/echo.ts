/** Echo by protocol. */
import { Echo } from './echo-protocol.ts';
import { serveProtocol } from './serve.ts';

await serveProtocol(() => new Echo());
