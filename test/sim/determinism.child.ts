import { createHash } from 'node:crypto';
import { clusterTrace } from './cluster.ts';

// Prints the digest of the trace of a simulation, for a comparison with another process.
const trace = await clusterTrace(Number(process.argv[2]));
console.log(createHash('sha256').update(JSON.stringify(trace)).digest('hex'));
