/**
 * TLS on the native backend. The native engine (native/src/tls.h) serves each context whose options it can
 * honour exactly, and the portable one every other context. docs/tls.md has the table of options.
 */
import type { TlsOptions } from 'node:tls';
import { LoopError } from '../../../base/errors.ts';
import type { RawTls, Tls, TlsEvents, TlsTarget } from '../../backend.ts';
import { wrapTls } from '../../shared/tls.ts';
import type { NodeTlsContext } from '../../shared/tls-context.ts';
import { tlsContext } from '../../shared/tls-context.ts';
import type { NativeContext } from '../addon.ts';
import { buildContext, whyPortable } from './context.ts';
import { NativeTls } from './session.ts';

export interface UvTlsContext extends NodeTlsContext {
  /** null: the portable engine serves this context. */
  readonly native: NativeContext | null;
}

export const uvTls: Tls = { context: makeContext, wrap };

function makeContext(ssl: unknown, serverSide: boolean): UvTlsContext {
  const context = tlsContext(ssl, serverSide);
  // For tests, which compare the engines.
  const wanted = process.env.GYRE_TLS_ENGINE;
  const reason = wanted === 'portable' ? 'it was chosen' : whyPortable(context);
  if (reason === null) {
    const { native, fault } = buildContext(context);
    if (native !== null || wanted !== 'native') return { ...context, native };
    throw new LoopError('ERR_UNSUPPORTED', `there is no native TLS for these options: ${fault}`);
  }
  if (wanted !== 'native') return { ...context, native: null };
  throw new LoopError('ERR_UNSUPPORTED', `there is no native TLS for these options: ${reason}`);
}

function wrap(target: TlsTarget, events: TlsEvents): RawTls {
  const context = target.context as UvTlsContext;
  if (context.native === null || isDistrusting(context)) return wrapTls(target, events);
  return new NativeTls(context.native, context, target, events);
}

/** Node reads this variable at each connection of a client, and warns of it. */
function isDistrusting({ serverSide, options }: NodeTlsContext): boolean {
  return (
    !serverSide &&
    process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0' &&
    !('rejectUnauthorized' in (options as TlsOptions))
  );
}
