/** Echo over TLS, by protocol. */
import { Echo } from './echo-protocol.ts';
import { serveTls } from './serve.ts';

await serveTls(() => new Echo());
