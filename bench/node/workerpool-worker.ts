/** The worker of `threads-workerpool` and `processes-workerpool`. */
import { worker } from 'workerpool';

worker({ same: (n: number): number => n });
