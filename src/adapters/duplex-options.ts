/** The options of `toDuplex` and `connectDuplex`. */
import { checkBoolean, checkInteger, checkOptions } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import { checkReceived } from './adapter.ts';

/** The options of `toDuplex` and `connectDuplex`. */
export interface DuplexOptions {
  /**
   * Keeps the writing side open after the peer has closed its own. Default: false, as for Node's sockets. A
   * server of `node:http` needs true.
   */
  allowHalfOpen?: boolean;
  /** Bytes that an earlier protocol has received. They are read first. */
  received?: Uint8Array;
  /** Bytes to read ahead, before the transport is paused. Default: Node's. */
  readableHighWaterMark?: number;
  /** Bytes of unsent data at which `write()` returns false. Default: Node's. */
  writableHighWaterMark?: number;
  /** The loop of the transport and of `setTimeout()`. Default: the running loop. */
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
