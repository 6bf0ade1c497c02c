/** One attempt to connect over a kernel of a simulated host: TCP, or unix sockets. */
import type { ConnectEvents, ConnectTarget, RawRequest, RawStream } from '../../backend.ts';
import type { Channel } from '../channel.ts';
import type { SimHost } from '../host.ts';
import type { Binding, StreamKernel } from '../kernel-sockets.ts';

/** As libuv binds the local side of a connection. */
const BIND_OPTIONS = { reuseAddress: true, reusePort: false, ipv6Only: false };

/** @param wrap makes the raw stream of a connection; it throws the system's error if it cannot */
export function connectStream(
  host: SimHost,
  kernel: StreamKernel,
  { address, local }: ConnectTarget,
  events: ConnectEvents,
  wrap: (channel: Channel) => RawStream,
): RawRequest {
  let wanted = true;
  let connected: Channel | null = null;
  const fail = (error: Error): void => {
    if (wanted) events.onError(error);
  };
  const cancel = (request: RawRequest | null): void => {
    wanted = false;
    request?.cancel();
    connected?.close();
  };
  let binding: Binding | null = null;
  try {
    if (local !== null) binding = kernel.bind(local, BIND_OPTIONS);
  } catch (error) {
    host.soon(() => fail(error as Error));
    return { cancel: () => cancel(null) };
  }
  const request = kernel.connect(address, binding, (error, channel) => {
    connected = channel;
    host.soon(() => {
      if (!wanted) return;
      wanted = false;
      connected = null;
      if (channel === null) {
        events.onError(error as Error);
        return;
      }
      const stream = wrapped(channel, wrap);
      if (stream instanceof Error) events.onError(stream);
      else events.onConnect(stream);
    });
  });
  return { cancel: () => wanted && cancel(request) };
}

function wrapped(channel: Channel, wrap: (channel: Channel) => RawStream): RawStream | Error {
  try {
    return wrap(channel);
  } catch (error) {
    channel.reset();
    return error as Error;
  }
}
