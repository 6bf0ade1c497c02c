/** `gyre/sim`: the simulated loop. */
export { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
export type { SimulatedEventLoopOptions } from '../loops/simulated-event-loop.ts';
