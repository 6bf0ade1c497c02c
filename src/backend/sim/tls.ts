/**
 * TLS on a simulated host, by the engine of the other backends. Only its randomness is real.
 *
 * The engine works in ticks and immediates of the real host, so time stands still for some passes of the host
 * after each call. Its events are steps of the simulated host, so that a paused one has none.
 */
import type { RawTls, Tls, TlsEvents, TlsInfo, TlsTarget } from '../backend.ts';
import { wrapTls } from '../shared/tls.ts';
import { tlsContext } from '../shared/tls-context.ts';
import type { SimHost } from './host.ts';

/** Passes of the host, in which the engine finishes a call. A write needs one; the others are to be sure. */
const PASSES = 6;

export function tlsOf(host: SimHost): Tls {
  return {
    context: tlsContext,
    wrap: (target, events) => new SimTls(host, target, events),
  };
}

class SimTls implements RawTls {
  readonly #host: SimHost;
  readonly #engine: RawTls;
  #closed: boolean = false;

  constructor(host: SimHost, target: TlsTarget, events: TlsEvents) {
    this.#host = host;
    this.#engine = wrapTls(target, {
      onEncrypted: (data) => events.onEncrypted(data),
      mayBypass: () => false,
      onSecure: (info: TlsInfo) => this.#tell(() => events.onSecure(info)),
      onDecrypted: (data) => this.#tell(() => events.onDecrypted(data)),
      onDrained: () => this.#tell(() => events.onDrained()),
      onEnd: () => this.#tell(() => events.onEnd()),
      onTruncated: () => this.#tell(() => events.onTruncated()),
      onEnded: () => this.#tell(() => events.onEnded()),
      onError: (error, ownFault) => this.#tell(() => events.onError(error, ownFault)),
    });
    this.#work();
  }

  decrypt(data: Uint8Array): void {
    this.#engine.decrypt(data);
    this.#work();
  }

  encrypt(chunks: Uint8Array[]): boolean {
    const delivered = this.#engine.encrypt(chunks);
    this.#work();
    return delivered;
  }

  decryptEnd(): void {
    this.#engine.decryptEnd();
    this.#work();
  }

  end(): void {
    this.#engine.end();
    this.#work();
  }

  close(): void {
    this.#closed = true;
    this.#engine.close();
  }

  /** An event may cause further work of the engine. */
  #tell(event: () => void): void {
    this.#work();
    this.#host.soon(() => {
      if (!this.#closed) event();
    });
  }

  #work(): void {
    this.#host.timeline.pass(PASSES);
  }
}
