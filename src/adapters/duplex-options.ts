/** The options of `toDuplex` and `connectDuplex`. */
import { checkBoolean, checkInteger, checkOptions } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import { checkReceived } from './adapter.ts';

/** What `toDuplex` and `connectDuplex` take. */
export interface DuplexOptions {
  /**
   * Whether the writing side stays open when the peer has ended. Default: false, as for Node's sockets; a
   * server of `node:http` wants true.
   */
  allowHalfOpen?: boolean;
  /** Bytes that an earlier protocol has received already: they are read first. */
  received?: Uint8Array;
  /** Bytes that are read ahead; then the transport is paused. Default: Node's. */
  readableHighWaterMark?: number;
  /** Bytes from which on `write()` answers false. Default: Node's. */
  writableHighWaterMark?: number;
  /** Whose clock `setTimeout()` goes by. Default: the running loop. */
  loop?: Loop;
}

const OPTIONS = ['allowHalfOpen', 'received', 'readableHighWaterMark', 'writableHighWaterMark', 'loop'];

export function checkDuplexOptions(options: DuplexOptions): void {
  checkOptions('options', options, OPTIONS);
  if (options.allowHalfOpen !== undefined) checkBoolean('options.allowHalfOpen', options.allowHalfOpen);
  checkReceived(options.received);
  for (const name of ['readableHighWaterMark', 'writableHighWaterMark'] as const) {
    const bytes = options[name];
    if (bytes !== undefined) checkInteger(`options.${name}`, bytes, 0, Number.MAX_SAFE_INTEGER);
  }
}
