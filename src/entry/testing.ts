/** `gyre/testing`: what a test needs to see that it left nothing behind, and what a transport must pass. */
export type { Leak } from '../loop/ownership.ts';
export type { CheckStreamTransportOptions, MakeStreamPair } from '../testing/check-stream-transport.ts';
export { checkStreamTransport, streamTransportChecks } from '../testing/check-stream-transport.ts';
export { checkLoopEmpty, leaks } from '../testing/leaks.ts';
export type { Reports } from '../testing/with-loop.ts';
export { withLoop } from '../testing/with-loop.ts';
