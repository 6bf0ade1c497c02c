/** `gyre/lowlevel`: the interface of a backend, for the author of another backend. */
export type {
  Backend,
  Capabilities,
  PlatformFacts,
  TurnDriver,
  Turns,
} from '../backend/backend.ts';
export type {
  Datagram,
  DatagramEvents,
  DatagramOpenEvents,
  Datagrams,
  DatagramTarget,
  RawDatagram,
} from '../backend/datagrams.ts';
export type {
  Executors,
  Files,
  InThreadJobs,
  RawFile,
} from '../backend/files.ts';
export type {
  NameQuery,
  Names,
  ResolveQuery,
} from '../backend/names.ts';
export type {
  ProcessEvents,
  Processes,
  RawProcess,
  Signals,
  SpawnEvents,
  SpawnStdio,
  SpawnTarget,
} from '../backend/processes.ts';
export type { RawRequest } from '../backend/request.ts';
export type {
  Descriptors,
  DetachableSocket,
  Polling,
  RawPoll,
  RawSocket,
  Sockets,
  SocketTarget,
  SystemOptions,
} from '../backend/sockets.ts';
export type {
  ConnectEvents,
  ConnectTarget,
  ListenEvents,
  ListenTarget,
  Pipes,
  RawListener,
  RawStream,
  SocketControl,
  SocketFileFacts,
  StreamEvents,
  StreamInfo,
  StreamSockets,
  SystemSocket,
  UnixSockets,
} from '../backend/streams.ts';
export type {
  RawTls,
  Tls,
  TlsContext,
  TlsEvents,
  TlsInfo,
  TlsTarget,
} from '../backend/tls.ts';
export { UnusableError } from '../base/unusable.ts';
