/** Kernels for tests of the simulated backend, without a loop. */
import type { Kernel } from '../../../src/backend/sim/kernel.ts';
import { loneKernel } from '../../../src/backend/sim/kernel.ts';

/**
 * Runs `body` on a kernel of its own, and then lets time pass until nothing is left to happen. `idle()` does
 * the same in the middle.
 */
export async function onKernel(body: (kernel: Kernel, idle: () => Promise<void>) => unknown): Promise<void> {
  const kernel = loneKernel(0);
  const { timeline } = kernel.host;
  const idle = (): Promise<void> =>
    new Promise<void>((resolve) => {
      timeline.onIdle = resolve;
      timeline.enter();
    }).then(() => timeline.leave());
  await body(kernel, idle);
  await idle();
}

/** Records the events of a channel. */
export class EventLog {
  readonly log: string[] = [];

  onReadable(): void {
    this.log.push('readable');
  }

  onWritable(): void {
    this.log.push('writable');
  }

  onError(error: Error): void {
    this.log.push((error as { code?: string }).code ?? error.message);
  }
}
