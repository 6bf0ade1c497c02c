import { measureWorkerpool } from './workerpool.ts';

await measureWorkerpool('thread');
