/**
 * `gyre/node`: Node's servers, frameworks and clients over gyre's transports, and conversions between
 * transports and Node's streams or Web streams, in both directions.
 */
export type { AgentOptions } from '../adapters/agent.ts';
export { Agent } from '../adapters/agent.ts';
export type { AppCloseOptions } from '../adapters/app-server.ts';
export { AppServer } from '../adapters/app-server.ts';
export type { DuplexOptions } from '../adapters/duplex-options.ts';
export type { FromDuplexOptions } from '../adapters/from-duplex.ts';
export { fromDuplex } from '../adapters/from-duplex.ts';
export type { HttpServerLike } from '../adapters/http-connections.ts';
export { trackHttpConnections } from '../adapters/http-connections.ts';
export type { ServeOptions } from '../adapters/serve.ts';
export { serve } from '../adapters/serve.ts';
export type { ConnectionInjectorLike, FastifyLike, ServeTarget } from '../adapters/serve-targets.ts';
export { connectDuplex, toDuplex } from '../adapters/to-duplex.ts';
export type { TransportDuplex } from '../adapters/transport-duplex.ts';
export type {
  UndiciConnectOptions,
  UndiciConnector,
  UndiciConnectorOptions,
} from '../adapters/undici-connector.ts';
export { undiciConnector } from '../adapters/undici-connector.ts';
export type { ReadableSource, WritableSink } from '../adapters/web-of-streams.ts';
export { toReadableStream, toWritableStream } from '../adapters/web-of-streams.ts';
export type { WebStreams, WebStreamsOptions } from '../adapters/web-streams.ts';
export { toWebStreams } from '../adapters/web-streams.ts';
