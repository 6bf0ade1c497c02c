/** `gyre/workers`: all cores of a machine serve one port, and a supervisor keeps the workers running. */
export type { WorkerServeOptions, WorkerServerOptions } from '../workers/context.ts';
export { WorkerContext } from '../workers/context.ts';
export type { ServeWorkersOptions, WorkerEvent } from '../workers/options.ts';
export type {
  CloseWorkersOptions,
  WorkerFacts,
  WorkerMetrics,
  WorkerSnapshot,
} from '../workers/supervisor.ts';
export { serveWorkers, WorkerSupervisor } from '../workers/supervisor.ts';
export type { WorkerState } from '../workers/worker-run.ts';
