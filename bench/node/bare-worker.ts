/** The worker of `threads` and `processes`: it sends each message back. */
import { parentPort } from 'node:worker_threads';

export interface Answer {
  id: number;
  value: number;
}

const port = parentPort;
if (port !== null) port.on('message', (message: Answer) => port.postMessage(message));
else process.on('message', (message) => process.send?.(message));
