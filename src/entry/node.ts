/**
 * `gyre/node`: conversions between gyre's transports and Node's streams or Web streams, in both directions.
 */
export type { DuplexOptions } from '../adapters/duplex-options.ts';
export type { FromDuplexOptions } from '../adapters/from-duplex.ts';
export { fromDuplex } from '../adapters/from-duplex.ts';
export type { HttpServerLike } from '../adapters/http-connections.ts';
export { trackHttpConnections } from '../adapters/http-connections.ts';
export { connectDuplex, toDuplex } from '../adapters/to-duplex.ts';
export type { TransportDuplex } from '../adapters/transport-duplex.ts';
export type { WebStreams, WebStreamsOptions } from '../adapters/web-streams.ts';
export { toWebStreams } from '../adapters/web-streams.ts';
