/** The public names, by layer. It only re-exports; no file inside `src` imports it. */

// base

export type { AddressInfo, Inet4Address, Inet6Address, SocketAddress } from './base/address.ts';
export {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AF_UNSPEC,
  AI_ADDRCONFIG,
  AI_ALL,
  AI_CANONNAME,
  AI_NUMERICHOST,
  AI_NUMERICSERV,
  AI_PASSIVE,
  AI_V4MAPPED,
  DEVNULL,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  NI_DGRAM,
  NI_NAMEREQD,
  NI_NOFQDN,
  NI_NUMERICHOST,
  NI_NUMERICSERV,
  PIPE,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_BROADCAST,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  STDOUT,
  TCP_NODELAY,
} from './base/constants.ts';
export type { LoopErrorCode } from './base/errors.ts';
export {
  BrokenBarrierError,
  BrokenExecutorError,
  CancelledError,
  IncompleteReadError,
  InvalidStateError,
  LimitOverrunError,
  LoopError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  SendfileNotAvailableError,
  TimeoutError,
} from './base/errors.ts';

// loop

export type { ContextOptions, ContextSnapshot } from './loop/context-option.ts';
export { Handle, TimerHandle } from './loop/handle.ts';
export type { ExceptionContext, Loop } from './loop/types.ts';

// tasks

export type { SignalOptions } from './tasks/abort-signal.ts';
export type { AsCompletedOptions, CompletedIterator } from './tasks/as-completed.ts';
export { asCompleted } from './tasks/as-completed.ts';
export { createTask } from './tasks/create-task.ts';
export { allTasks, currentTask } from './tasks/current.ts';
export { ensureFuture, wrapFuture } from './tasks/ensure-future.ts';
export type { Awaitable } from './tasks/future.ts';
export { Future } from './tasks/future.ts';
export type { Gathered, GatheredOrErrors, GatherOptions } from './tasks/gather.ts';
export { gather } from './tasks/gather.ts';
export { iscoroutine, iscoroutinefunction, isfuture } from './tasks/kinds.ts';
export { shield } from './tasks/shield.ts';
export { sleep } from './tasks/sleep.ts';
export type { TaskOptions } from './tasks/task.ts';
export { Task } from './tasks/task.ts';
export type { TaskGroup } from './tasks/task-group.ts';
export { taskGroup } from './tasks/task-group.ts';
export type { Timeout } from './tasks/timeout.ts';
export { timeout, timeoutAt } from './tasks/timeout.ts';
export type { ReturnWhen, WaitOptions } from './tasks/wait.ts';
export { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, wait } from './tasks/wait.ts';
export { waitFor } from './tasks/wait-for.ts';

// sync

export { Barrier } from './sync/barrier.ts';
export { Condition } from './sync/condition.ts';
export { Event } from './sync/event.ts';
export { Lock } from './sync/lock.ts';
export type { PriorityQueueOptions } from './sync/queue.ts';
export { LifoQueue, PriorityQueue, Queue } from './sync/queue.ts';
export { BoundedSemaphore, Semaphore } from './sync/semaphore.ts';

// net

export type { DatagramOptions } from './net/datagram/datagram.ts';
export type { GetaddrinfoOptions } from './net/names/names.ts';
export type { SendfileOptions, SendfileSource } from './net/open-file.ts';
export type { ProtocolFactory, StreamProtocol } from './net/protocol.ts';
export {
  BaseProtocol,
  BufferedProtocol,
  DatagramProtocol,
  Protocol,
  SubprocessProtocol,
} from './net/protocol.ts';
export type { SocketOptions } from './net/socket/socket.ts';
export { Socket } from './net/socket/socket.ts';
export type { PeerAddress } from './net/socket/socket-address.ts';
export type { Descriptor } from './net/socket/watchers.ts';
export { AbstractServer } from './net/stream/abstract-server.ts';
export type { AcceptedSocketOptions } from './net/stream/accepted.ts';
export type { ConnectionOptions } from './net/stream/connect.ts';
export type { ServerOptions } from './net/stream/listen.ts';
export type { ServerAddress } from './net/stream/server.ts';
export { Server } from './net/stream/server.ts';
export type { UnixConnectionOptions, UnixServerOptions } from './net/stream/unix.ts';
export type { StartTlsOptions } from './net/tls/start-tls.ts';
export type { TlsClientOptions, TlsServerOptions } from './net/tls/tls-options.ts';
export type {
  CipherInfo,
  ExtraInfo,
  PeerCertificate,
  ReadTransport,
  WriteBufferLimits,
  WriteTransport,
} from './net/transport.ts';
export { BaseTransport, DatagramTransport, SubprocessTransport, Transport } from './net/transport.ts';
export { TransportSocket } from './net/transport-socket.ts';

// process

export type { SubprocessOptions, SubprocessStdio } from './process/spawn.ts';

// executor

export type { Job } from './executor/current-job.ts';
export { currentJob } from './executor/current-job.ts';
export type { AnyFunction, Executor, ShutdownOptions, SubmitOptions } from './executor/executor.ts';
export { toThread } from './executor/executor.ts';
export type { FunctionReference, ImportedFunctions } from './executor/function-reference.ts';
export { importFunctions, referenceOf } from './executor/function-reference.ts';
export type { PoolFacts, PoolOptions, PoolSubmitOptions } from './executor/pool-executor.ts';
export { ProcessPoolExecutor } from './executor/process-pool.ts';
export type { RemoteHandlers, RemoteLoop, RemotePort } from './executor/remote.ts';
export { connectRemote } from './executor/remote.ts';
export { ThreadPoolExecutor } from './executor/thread-pool.ts';

// inspect

export type {
  CallGraphOptions,
  FrameCallGraphEntry,
  FutureCallGraph,
  PrintCallGraphOptions,
} from './inspect/call-graph.ts';
export { captureCallGraph, formatCallGraph, printCallGraph } from './inspect/call-graph.ts';
export type { LoopMetrics } from './inspect/metrics.ts';
export { writeTrace } from './inspect/recording.ts';
export { snapshot } from './inspect/snapshot.ts';
export type {
  ExpiredLimitSnapshot,
  HandleSnapshot,
  LoopSnapshot,
  Snapshot,
  TaskSnapshot,
  TimerSnapshot,
  WaitSnapshot,
} from './inspect/snapshot-types.ts';
export type { WaitKind } from './inspect/waits.ts';
export type { SpanMessage, TurnMessage } from './loop/channels.ts';
export type { HistogramFacts } from './loop/histogram.ts';
export type { HeldLoop } from './loop/meter.ts';
export type { ResourceFacts } from './loop/ownership.ts';

// streams

export type { OpenDatagramOptions, ReceivedDatagram } from './streams/datagrams.ts';
export { DatagramStream, openDatagramEndpoint } from './streams/datagrams.ts';
export type { OpenConnectionOptions, StartServerOptions } from './streams/open.ts';
export { openConnection, startServer } from './streams/open.ts';
export type { OpenUnixConnectionOptions, StartUnixServerOptions } from './streams/open-unix.ts';
export { openUnixConnection, startUnixServer } from './streams/open-unix.ts';
export type { PipeOptions } from './streams/pipe.ts';
export type { CreateSubprocessOptions } from './streams/process.ts';
export { createSubprocessExec, createSubprocessShell, Process } from './streams/process.ts';
export type { StreamReaderOptions } from './streams/reader.ts';
export { StreamReader } from './streams/reader.ts';
export type { Separator } from './streams/separators.ts';
export type { ConnectionCallback } from './streams/stream-protocol.ts';
export { StreamReaderProtocol } from './streams/stream-protocol.ts';
export type { StreamConnection } from './streams/stream-server.ts';
export { StreamServer } from './streams/stream-server.ts';
export type { WriterStartTlsOptions } from './streams/writer.ts';
export { StreamWriter } from './streams/writer.ts';

// loops, policy, runner

export type { AbstractEventLoop, TaskFactory } from './event-loop.ts';
export { BaseEventLoop, createEagerTaskFactory, eagerTaskFactory } from './event-loop.ts';
export { NodeEventLoop } from './loops/node-event-loop.ts';
export { UvEventLoop } from './loops/uv-event-loop.ts';
export type { BackendInfo, EventLoopPolicy } from './policy.ts';
export {
  backendInfo,
  DefaultEventLoopPolicy,
  getEventLoop,
  getEventLoopPolicy,
  getRunningLoop,
  newEventLoop,
  setEventLoop,
  setEventLoopPolicy,
} from './policy.ts';
export type { RunnerOptions, RunOptions } from './runner.ts';
export { Runner, run } from './runner.ts';
