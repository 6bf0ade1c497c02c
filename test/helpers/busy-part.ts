import { performance } from 'node:perf_hooks';

/** Returns the part of the time in which the host was busy although it had nothing to do. */
export async function busyPart(): Promise<number> {
  const before = performance.eventLoopUtilization();
  // biome-ignore lint/style/noRestrictedGlobals: the subject is the host's work while gyre has nothing to do
  await new Promise((resolve) => setTimeout(resolve, 300));
  return performance.eventLoopUtilization(before).utilization;
}
