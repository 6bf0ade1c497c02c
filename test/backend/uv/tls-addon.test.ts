/** The TLS of the native part on its own: allocations that fail, and sessions that end at any moment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Addon, Id, NativeContext } from '../../../src/backend/uv/addon.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import * as certificates from '../../helpers/certificates.ts';
import { RawAddon } from './raw-addon.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

/** The functions of a build for tests. */
type Faulty = Partial<{ failAllocation(n: number): number }>;

const PLAIN = 2;
const OUTPUT = 4;
const NOTHING = Buffer.alloc(0);

function serverContext(api: Addon): NativeContext | null {
  const context = api.tlsContext(0, 0, 0, 0);
  if (context === null) return null;
  const faults = [
    api.tlsAddCa(context, Buffer.from(certificates.ca)),
    api.tlsUseCertificate(context, Buffer.from(certificates.steady.cert)),
    api.tlsUseKey(context, Buffer.from(certificates.steady.key), null),
    api.tlsProtocols(context, Buffer.from('\x04gyre'), true),
    api.tlsResumption(context, Buffer.from('id'), Buffer.alloc(48, 1), 60),
  ];
  return faults.every((fault) => fault === null) ? context : null;
}

/** Carries out a handshake, and sends a text in each direction. Returns whether all of it worked. */
function converse(api: Addon, server: NativeContext, client: NativeContext): boolean {
  const far = api.tlsOpen(server, true, null, null);
  const near = api.tlsOpen(client, false, 'localhost', null);
  try {
    if (far < 0 || near < 0) return false;
    api.tlsWatch(near, 3);
    api.tlsDecrypt(near, NOTHING);
    for (let from = near, to = far, bits = OUTPUT; bits & OUTPUT; [from, to] = [to, from]) {
      const output = api.tlsTakeOutput(from);
      if (output === null) return false;
      bits = api.tlsDecrypt(to, output);
    }
    api.tlsTakeNotes(near);
    api.tlsPeerCertificates(near);
    api.tlsSession(near);
    return says(api, near, far, ['to the ', 'server']) && says(api, far, near, ['and back']);
  } finally {
    api.close(far);
    api.close(near);
  }
}

function says(api: Addon, from: Id, to: Id, words: string[]): boolean {
  api.tlsEncrypt(
    from,
    -1,
    words.map((word) => Buffer.from(word)),
  );
  const output = api.tlsTakeOutput(from);
  if (output === null || !(api.tlsDecrypt(to, output) & PLAIN)) return false;
  return api.tlsTakePlain()?.toString() === words.join('');
}

test('each allocation of a TLS session may fail: the session then fails, and nothing else does', {
  skip,
}, () => {
  const raw = new RawAddon();
  const api = raw.addon;
  const { failAllocation } = api as unknown as Faulty;
  let failures = 0;
  for (let n = 0; ; n++) {
    failAllocation?.(n);
    const server = serverContext(api);
    const client = api.tlsContext(0, 0, 0, 0);
    const worked = server !== null && client !== null && converse(api, server, client);
    const fired = failAllocation !== undefined && failAllocation(-1) < 0;
    assert.equal(api.openCount(), 0);
    if (!fired) {
      assert.ok(worked);
      break;
    }
    failures++;
  }
  assert.ok(failAllocation === undefined || failures > 10, `${failures} failures`);
});

test('a session that was closed, or never existed, has no facts and takes no data', { skip }, () => {
  const api = new RawAddon().addon;
  const context = serverContext(api) as NativeContext;
  const closed = api.tlsOpen(context, true, null, null);
  api.close(closed);
  for (const id of [closed, 12_345, -1]) {
    assert.equal(api.tlsDecrypt(id, Buffer.from('data')), 0);
    assert.equal(api.tlsEncrypt(id, -1, Buffer.from('data')), 0);
    assert.equal(api.tlsEnd(id), 0);
    assert.deepEqual(
      [api.tlsTakeOutput(id), api.tlsProtocol(id), api.tlsCipher(id), api.tlsSession(id), api.tlsAlpn(id)],
      [null, null, null, null, null],
    );
    assert.deepEqual(
      [api.tlsPeerCertificates(id), api.tlsSharedSigalgs(id), api.tlsIsReused(id)],
      [[], [], false],
    );
  }
});

test('an array whose getter closes the session ends the encryption', { skip }, () => {
  const api = new RawAddon().addon;
  const [server, client] = [serverContext(api), api.tlsContext(0, 0, 0, 0)] as [NativeContext, NativeContext];
  const far = api.tlsOpen(server, true, null, null);
  const near = api.tlsOpen(client, false, null, null);
  api.tlsDecrypt(near, NOTHING);
  for (let from = near, to = far, bits = OUTPUT; bits & OUTPUT; [from, to] = [to, from]) {
    bits = api.tlsDecrypt(to, api.tlsTakeOutput(from) as Buffer);
  }
  const chunks = [Buffer.from('a'), Buffer.from('b')];
  Object.defineProperty(chunks, 1, {
    get: () => {
      api.close(near);
      return Buffer.from('c');
    },
  });
  assert.equal(api.tlsEncrypt(near, -1, chunks), 0);
  api.close(far);
  assert.equal(api.openCount(), 0);
});
