/** One connection attempt to one literal address or path. */

import type { IpcNetConnectOpts, TcpNetConnectOpts } from 'node:net';
import { hostNextTick } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { ConnectEvents, ConnectTarget, RawRequest } from '../backend.ts';
import { deniedNetwork } from './permission.ts';
import { NodeStream } from './stream.ts';

export function connectSocket(target: ConnectTarget, events: ConnectEvents): RawRequest {
  const denied = deniedNetwork();
  if (denied !== null) return failLater(denied, events);
  const path = typeof target.address === 'string' ? target.address : null;
  const socket = node.net.connect(path === null ? tcpOptions(target) : unixOptions(path));
  // Pause it before it is connected, so that it reads nothing until the transport asks.
  socket.pause();
  socket.once('connect', () => {
    socket.removeListener('error', onError);
    // The local side has no name, because it was not bound.
    events.onConnect(new NodeStream(socket, path === null ? null : { sockname: '', peername: path }));
  });
  const onError = (error: Error): void => events.onError(error);
  socket.once('error', onError);
  return {
    cancel: () => {
      socket.removeAllListeners('connect');
      socket.removeListener('error', onError);
      socket.on('error', () => {});
      socket.destroy();
    },
  };
}

function failLater(error: Error, events: ConnectEvents): RawRequest {
  let cancelled = false;
  hostNextTick(() => {
    if (!cancelled) events.onError(error);
  });
  return {
    cancel: () => {
      cancelled = true;
    },
  };
}

function tcpOptions(target: ConnectTarget): TcpNetConnectOpts {
  const options: TcpNetConnectOpts = {
    host: target.address[0] as string,
    port: target.address[1] as number,
    allowHalfOpen: true,
    noDelay: true,
    // Node would try one address after the other with a short timeout. net/happy-eyeballs.ts races the
    // addresses instead.
    autoSelectFamily: false,
  };
  if (target.local !== null) {
    options.localAddress = target.local[0] as string;
    options.localPort = target.local[1] as number;
  }
  return options;
}

function unixOptions(path: string): IpcNetConnectOpts {
  return { path, allowHalfOpen: true };
}
