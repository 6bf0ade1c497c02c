/** `gyre/bullmq`: runs functions on other machines, through a queue of BullMQ in Redis. */

export type { Machine } from '../bullmq/errors.ts';
export type { BullMQExecutorOptions } from '../bullmq/executor.ts';
export { BullMQExecutor } from '../bullmq/executor.ts';
export type { BullMQJobOptions, BullMQSubmitOptions, QueueOptions, RedisAddress } from '../bullmq/options.ts';
export type { JobModules } from '../bullmq/reference.ts';
export type { BullMQWorkerOptions } from '../bullmq/worker.ts';
export { BullMQWorker } from '../bullmq/worker.ts';
