/** The public names, by layer. Re-exports only; nothing inside `src` imports this file. */

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
  IPPROTO_TCP,
  IPPROTO_UDP,
  NI_DGRAM,
  NI_NAMEREQD,
  NI_NOFQDN,
  NI_NUMERICHOST,
  NI_NUMERICSERV,
  SOCK_DGRAM,
  SOCK_STREAM,
} from './base/constants.ts';
export type { LoopErrorCode } from './base/errors.ts';
export {
  BrokenBarrierError,
  CancelledError,
  IncompleteReadError,
  InvalidStateError,
  LimitOverrunError,
  LoopError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  TimeoutError,
} from './base/errors.ts';

// loop

export { Handle, TimerHandle } from './loop/handle.ts';
export type { ExceptionContext, Loop } from './loop/types.ts';

// tasks

export type { SignalOptions } from './tasks/abort-signal.ts';
export type { AsCompletedOptions, CompletedIterator } from './tasks/as-completed.ts';
export { asCompleted } from './tasks/as-completed.ts';
export { allTasks, currentTask } from './tasks/current.ts';
export { ensureFuture } from './tasks/ensure-future.ts';
export type { Awaitable } from './tasks/future.ts';
export { Future } from './tasks/future.ts';
export type { Gathered, GatheredOrErrors, GatherOptions } from './tasks/gather.ts';
export { gather } from './tasks/gather.ts';
export { shield } from './tasks/shield.ts';
export { sleep } from './tasks/sleep.ts';
export type { TaskOptions } from './tasks/task.ts';
export { Task } from './tasks/task.ts';
export type { TaskGroup } from './tasks/task-group.ts';
export { taskGroup } from './tasks/task-group.ts';
export type { TimeoutScope } from './tasks/timeout.ts';
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

export type { ConnectionOptions } from './net/connect.ts';
export type { ServerOptions } from './net/listen.ts';
export type { StreamProtocol } from './net/protocol.ts';
export { BaseProtocol, BufferedProtocol, Protocol } from './net/protocol.ts';
export { AbstractServer, Server } from './net/server.ts';
export type { ExtraInfo, ReadTransport, WriteBufferLimits, WriteTransport } from './net/transport.ts';
export { BaseTransport, Transport } from './net/transport.ts';
export { TransportSocket } from './net/transport-socket.ts';

// streams

export type { OpenConnectionOptions, StartServerOptions } from './streams/open.ts';
export { openConnection, startServer } from './streams/open.ts';
export type { Separator, StreamReaderOptions } from './streams/reader.ts';
export { StreamReader } from './streams/reader.ts';
export type { ConnectionCallback } from './streams/stream-protocol.ts';
export { StreamWriter } from './streams/writer.ts';

// loops, policy, runner

export type { TaskFactory } from './event-loop.ts';
export { BaseEventLoop } from './event-loop.ts';
export { NodeEventLoop } from './loops/node-event-loop.ts';
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
export type { RunnerOptions } from './runner.ts';
export { Runner, run } from './runner.ts';
