import { NodeBackend } from '../../src/backend/node/index.ts';
import { SimBackend } from '../../src/backend/sim/index.ts';
import { hostSuite } from './host.suite.ts';

hostSuite('node', () => new NodeBackend());
hostSuite('sim', () => new SimBackend(0));
