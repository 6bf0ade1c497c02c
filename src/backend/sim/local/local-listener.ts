/** A listening unix socket of a simulated host as a raw listener, which removes its file. */
import type { ListenEvents, ListenTarget, RawRequest } from '../../backend.ts';
import type { ListenerParts } from '../handles/listener.ts';
import { SimListener } from '../handles/listener.ts';
import type { SimHost } from '../host.ts';
import type { Acceptor, Binding, StreamKernel } from '../kernel-sockets.ts';
import type { LocalBinding, LocalSockets } from './local-sockets.ts';

export class LocalListener extends SimListener {
  readonly #file: FileKeeper;

  constructor(
    host: SimHost,
    sockets: LocalSockets,
    parts: ListenerParts,
    target: ListenTarget,
    events: ListenEvents,
  ) {
    const file = new FileKeeper(sockets);
    super(host, file, parts, target, events);
    this.#file = file;
  }

  override close(): void {
    super.close();
    this.#file.remove();
  }
}

/** Binds for one listener, and remembers the file. */
class FileKeeper implements StreamKernel {
  readonly #sockets: LocalSockets;
  #binding: LocalBinding | null = null;

  constructor(sockets: LocalSockets) {
    this.#sockets = sockets;
  }

  bind(path: string): LocalBinding {
    this.#binding = this.#sockets.bind(path);
    return this.#binding;
  }

  listen(binding: Binding, backlog: number): Acceptor {
    return this.#sockets.listen(binding, backlog);
  }

  connect(path: string, binding: Binding | null, onDone: Parameters<StreamKernel['connect']>[2]): RawRequest {
    return this.#sockets.connect(path, binding, onDone);
  }

  remove(): void {
    const binding = this.#binding;
    this.#binding = null;
    if (binding !== null) this.#sockets.removeFile(binding.address, binding.identity);
  }
}
