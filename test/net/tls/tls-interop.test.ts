/** More peers that do not use gyre: Python's ssl, and OpenSSL with shared keys, sessions and certificates. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Server } from '../../../src/index.ts';
import * as certificates from '../../helpers/certificates.ts';
import { certificatePath, clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode, Recorder } from '../../helpers/pairs.ts';
import { tsArguments } from '../../helpers/typescript.ts';
import { sessionOf } from './outcomes.ts';
import { end, missing, Program, recordingServer } from './tls-peers.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const skipOpenssl = missing('openssl');
const python = ['/usr/bin/python3', 'python3'].find((name) => missing(name, '--version') === false);
const noPython = 'there is no Python with the module ssl on this machine';
const skipPython = (python === undefined || spawnSync(python, ['-c', 'import ssl']).status !== 0) && noPython;

async function stop(server: Server): Promise<void> {
  server.close();
  server.abortClients();
  await server.waitClosed();
}

// --- Python ---

const pythonClient = `
import hashlib, socket, ssl, sys
port, version, ca, cert, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.maximum_version = getattr(ssl.TLSVersion, version)
context.load_cert_chain(cert, key)
context.set_alpn_protocols(['x', 'gyre'])
with socket.create_connection(('127.0.0.1', int(port))) as raw:
    with context.wrap_socket(raw, server_hostname='localhost') as tls:
        print(tls.version(), tls.selected_alpn_protocol(), dict(tls.getpeercert()['subject'][0])['commonName'])
        tls.sendall(b'x' * 1000000)
        got = b''
        while len(got) < 300000:
            got += tls.recv(65536)
        print(hashlib.sha1(got).hexdigest())
        tls.unwrap()
print('unwrapped')
`;

const pythonServer = `
import socket, ssl, sys
version, ca, cert, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
context.maximum_version = getattr(ssl.TLSVersion, version)
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain(cert, key)
context.set_alpn_protocols(['gyre'])
with socket.create_server(('127.0.0.1', 0)) as listener:
    print('port', listener.getsockname()[1], flush=True)
    with context.wrap_socket(listener.accept()[0], server_side=True) as tls:
        print(tls.version(), tls.selected_alpn_protocol(), dict(tls.getpeercert()['subject'][0])['commonName'])
        while data := tls.recv(65536):
            tls.sendall(data.upper())
        tls.unwrap()
print('unwrapped')
`;

for (const version of VERSIONS) {
  const name = version.replace('.', '_');

  test(
    `${version}: a client by Python’s ssl talks to a gyre server, with certificates on both sides`,
    { skip: skipPython },
    onNode(async (loop) => {
      const { server, port, next } = await recordingServer(loop, {
        ...serverTls(),
        requestCert: true,
        ca: certificates.ca,
        ALPNProtocols: ['gyre'],
      });
      const program = new Program(String(python), [
        ...['-c', pythonClient, `${port}`, name, certificatePath('ca')],
        ...[certificatePath('client'), certificatePath('client-key')],
      ]);
      const far = await next();
      assert.equal(far.transport.getExtraInfo('peercert')?.subject.CN, 'a client');
      await far.untilReceived(1_000_000);
      far.transport.write(Buffer.alloc(300_000, 'y'));
      await far.untilLost();
      assert.equal(far.exception, null);
      assert.equal(await program.ended(), 0, program.output);
      assert.deepEqual(program.output.trim().split(/\r?\n/), [
        `${version} gyre localhost`,
        createHash('sha1').update('y'.repeat(300_000)).digest('hex'),
        'unwrapped',
      ]);
      await stop(server);
    }),
  );

  test(
    `${version}: a gyre client talks to a server by Python’s ssl, with certificates on both sides`,
    { skip: skipPython },
    onNode(async (loop) => {
      const program = new Program(String(python), [
        ...['-c', pythonServer, name, certificatePath('ca')],
        ...[certificatePath('server'), certificatePath('server-key')],
      ]);
      const [, port] = await program.until(/port (\d+)/);
      const near = new Recorder();
      await loop.createConnection(() => near, '127.0.0.1', Number(port), {
        ssl: { ...clientTls(), ...certificates.client, ALPNProtocols: ['gyre'] },
        serverHostname: 'localhost',
      });
      near.transport.write('hello'.repeat(10_000));
      await near.untilReceived(50_000);
      assert.equal(near.text, 'HELLO'.repeat(10_000));
      await end(near);
      assert.equal(near.exception, null);
      assert.equal(await program.ended(), 0, program.output);
      assert.match(program.output, new RegExp(`${version} gyre a client\\r?\\nunwrapped`));
    }),
  );
}

// --- OpenSSL ---

for (const version of VERSIONS) {
  const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
  const cipher = version === 'TLSv1.2' ? 'PSK-AES128-GCM-SHA256' : 'TLS_AES_128_GCM_SHA256';
  const psk = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

  test(
    `${version}: openssl s_client and a gyre server authenticate each other by a shared key`,
    { skip: skipOpenssl },
    onNode(async (loop) => {
      const asked: string[] = [];
      const { server, port, next } = await recordingServer(loop, {
        ciphers: cipher,
        minVersion: version,
        maxVersion: version,
        pskCallback: (_socket: unknown, identity: string) => {
          asked.push(identity);
          return psk;
        },
      });
      const program = new Program('openssl', [
        ...['s_client', '-connect', `127.0.0.1:${port}`, flag, '-psk_identity', 'somebody'],
        ...[
          '-psk',
          psk.toString('hex'),
          ...(version === 'TLSv1.2' ? ['-cipher', cipher] : ['-ciphersuites', cipher]),
        ],
      ]);
      const far = await next();
      program.say('hello\n');
      await far.untilReceived(6);
      assert.ok(asked.length > 0 && asked.every((identity) => identity === 'somebody'));
      assert.equal(far.transport.getExtraInfo('peercert'), null);
      assert.equal(far.transport.getExtraInfo('cipher')?.name, cipher);
      await program.kill();
      await far.untilLost();
      await stop(server);
    }),
  );

  test(
    `${version}: openssl s_client resumes its session at a gyre server with the same ticket keys, for as long as the server says`,
    { skip: skipOpenssl },
    onNode(async (loop) => {
      const folder = mkdtempSync(path.join(tmpdir(), 'gyre-tls-'));
      const file = path.join(folder, 'session');
      const options = { ...serverTls(), ticketKeys: Buffer.alloc(48, 'k'), sessionTimeout: 1234 };
      try {
        for (const [arg, reused] of [
          ['-sess_out', false],
          ['-sess_in', true],
        ] as const) {
          const { server, port, next } = await recordingServer(loop, options);
          const program = new Program('openssl', [
            ...['s_client', '-connect', `127.0.0.1:${port}`, flag, '-servername', 'localhost'],
            ...['-CAfile', certificatePath('ca'), arg, file],
          ]);
          const far = await next();
          assert.equal(sessionOf(far.transport).isSessionReused(), reused);
          far.transport.write('welcome\n');
          await program.until(/welcome/);
          // By TLS 1.3 the program may print its ticket at any time.
          if (version === 'TLSv1.2' && !reused) assert.match(program.output, /ticket lifetime hint: 1234 /);
          program.say('Q\n');
          await far.untilLost();
          await program.ended();
          await stop(server);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    }),
  );
}

// --- the default trust ---

test(
  'a client with the default trust accepts the authorities of NODE_EXTRA_CA_CERTS, and no others of the tests',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop);
    const child = fileURLToPath(new URL('./trust.child.ts', import.meta.url));
    const answers: string[] = [];
    for (const file of [certificatePath('ca'), certificatePath('unknown-ca'), '']) {
      const program = new Program(process.execPath, tsArguments(child, `${port}`), {
        ...process.env,
        NODE_EXTRA_CA_CERTS: file,
      });
      await program.ended();
      answers.push(program.output.trim());
    }
    assert.deepEqual(answers, [
      'trusted',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ]);
    await stop(server);
  }),
);
