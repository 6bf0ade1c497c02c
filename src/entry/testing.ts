/** `gyre/testing`: checks that a test leaves nothing behind, and that a transport follows the rules. */
export type { Leak } from '../loop/ownership.ts';
export type { CheckStreamTransportOptions, MakeStreamPair } from '../testing/check-stream-transport.ts';
export { checkStreamTransport, streamTransportChecks } from '../testing/check-stream-transport.ts';
export { checkLoopEmpty, leaks } from '../testing/leaks.ts';
export type { Reports } from '../testing/with-loop.ts';
export { withLoop } from '../testing/with-loop.ts';
