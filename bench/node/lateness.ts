/**
 * How late timers of 1..50 ms are on an idle loop: 20 chains, each of which starts its next timer as one
 * fires.
 */
import { operationsAsked, reportLateness } from '../measure.ts';

const CHAINS = 20;

const timers = operationsAsked();
const late: number[] = [];
let started = 0;

function start(): void {
  if (started === timers) return;
  const milliseconds = 1 + ((started * 37) % 50);
  started += 1;
  setTimeout(fire, milliseconds, performance.now() + milliseconds);
}

function fire(due: number): void {
  late.push(performance.now() - due);
  if (late.length === timers) reportLateness(late);
  start();
}

for (let i = 0; i < CHAINS; i++) start();
