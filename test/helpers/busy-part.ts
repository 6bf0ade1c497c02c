import { performance } from 'node:perf_hooks';

/** Which part of the time the host had something to do, where it should have had nothing. */
export async function busyPart(): Promise<number> {
  const before = performance.eventLoopUtilization();
  // What the host does while nothing of ours runs is the subject.
  // biome-ignore lint/style/noRestrictedGlobals: see above
  await new Promise((resolve) => setTimeout(resolve, 300));
  return performance.eventLoopUtilization(before).utilization;
}
