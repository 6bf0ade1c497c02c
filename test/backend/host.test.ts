import { NodeBackend } from '../../src/backend/node/index.ts';
import { SimBackend } from '../../src/backend/sim/index.ts';
import { loneKernel } from '../../src/backend/sim/kernel.ts';
import { UvBackend, whyNoNativeBackend } from '../../src/backend/uv/index.ts';
import { hostSuite } from './host.suite.ts';

const missing = whyNoNativeBackend();

hostSuite('node', () => new NodeBackend());
hostSuite('sim', () => new SimBackend(loneKernel(0)));
hostSuite('uv', () => new UvBackend(), missing?.reason);
