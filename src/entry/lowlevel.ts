/** `gyre/lowlevel`: what a backend of one's own must provide. */
export type {
  Backend,
  BackendFeatures,
  ConnectEvents,
  ConnectTarget,
  ListenEvents,
  ListenTarget,
  RawListener,
  RawRequest,
  RawStream,
  ResolveQuery,
  SocketControl,
  StreamEvents,
  StreamInfo,
} from '../backend/backend.ts';
