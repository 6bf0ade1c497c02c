/** TLS with real peers: OpenSSL's own programs, curl, and Node's `tls`. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { SecureVersion, TLSSocket } from 'node:tls';
import type { BaseEventLoop, Protocol as GyreProtocol, Server, Transport } from '../../../src/index.ts';
import { Protocol, sleep } from '../../../src/index.ts';
import * as certificates from '../../helpers/certificates.ts';
import { certificatePath, clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';
import {
  closedServer,
  closedSocket,
  end,
  missing,
  nodeTlsClient,
  nodeTlsServer,
  Program,
  recordingServer,
  rest,
} from './tls-peers.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
const skipOpenssl = missing('openssl');
const skipCurl = missing('curl', '--version');

/** Answers every line in capitals, and says `bye` at the end of the peer's side. */
class Capitals extends Protocol {
  #transport!: Transport;
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }
  override dataReceived(data: Buffer): void {
    this.#transport.write(data.toString().toUpperCase());
  }
}

async function capitals(loop: BaseEventLoop, ssl: unknown = serverTls()): Promise<[Server, number]> {
  const server = await loop.createServer((): GyreProtocol => new Capitals(), '127.0.0.1', 0, { ssl });
  return [server, portOf(server)];
}

async function stop(server: Server): Promise<void> {
  server.close();
  await server.waitClosed();
}

for (const version of VERSIONS) {
  const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
  const trust = ['-CAfile', certificatePath('ca'), '-verify_return_error', '-verify_hostname', 'localhost'];

  test(
    `openssl s_client talks to a gyre server: ${version}, ALPN, SNI, a client certificate`,
    { skip: skipOpenssl },
    onNode(async (loop) => {
      const asking = {
        ...serverTls(),
        ALPNProtocols: ['gyre'],
        requestCert: true,
        ca: certificates.ca,
      };
      const { server, port, next } = await recordingServer(loop, asking);
      const program = new Program('openssl', [
        ...['s_client', '-connect', `127.0.0.1:${port}`, flag, '-alpn', 'gyre', '-servername', 'localhost'],
        ...['-cert', certificatePath('client'), '-key', certificatePath('client-key'), ...trust],
      ]);
      const far = await next();
      const session = far.transport.getExtraInfo('sslObject') as TLSSocket & { servername: string };
      assert.deepEqual(
        [session.alpnProtocol, session.servername, session.authorized],
        ['gyre', 'localhost', true],
      );
      assert.equal(far.transport.getExtraInfo('peercert')?.subject.CN, 'a client');
      program.say('hello\n');
      await far.untilReceived(6);
      far.transport.write('welcome\n');
      await program.until(/welcome/);
      assert.match(program.output, /Verify return code: 0|Verification: OK/);
      // Its end of TLS, then its end of file.
      program.say('Q\n');
      await far.untilLost();
      assert.deepEqual([far.text, far.exception, far.log.at(-2)], ['hello\n', null, 'eof']);
      await program.ended();
      await stop(server);
    }),
  );

  test(
    `openssl s_client updates keys in the middle of a connection to a gyre server: ${version}`,
    { skip: skipOpenssl },
    onNode(async (loop) => {
      const [server, port] = await capitals(loop);
      const program = new Program('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, flag, ...trust]);
      await program.until(/Verify return code: 0/);
      program.say('alpha\n');
      await program.until(/ALPHA/);
      if (version === 'TLSv1.3') {
        // A KeyUpdate, and one that requests an update of the server's keys.
        program.say('k\n');
        await program.until(/KEYUPDATE/);
        program.say('beta\n');
        await program.until(/BETA/);
        program.say('K\n');
        await program.until(/KEYUPDATE.*KEYUPDATE/s);
        program.say('gamma\n');
        await program.until(/GAMMA/);
      } else {
        // OpenSSL 3 forbids a client to renegotiate by default. The server must survive the attempt.
        program.say('R\n');
        await program.until(/RENEGOTIATING/);
      }
      await program.kill();
      const again = new Program('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, flag, ...trust]);
      again.say('delta\n');
      await again.until(/DELTA/);
      await again.kill();
      server.abortClients();
      await stop(server);
    }),
  );

  test(
    `a gyre client talks to openssl s_server, through new keys and the end of either side: ${version}`,
    { skip: skipOpenssl },
    onNode(async (loop) => {
      const program = new Program('openssl', [
        ...['s_server', '-accept', '127.0.0.1:0', flag, '-alpn', 'h2,gyre', '-Verify', '1'],
        ...['-CAfile', certificatePath('ca')],
        ...['-cert', certificatePath('server'), '-key', certificatePath('server-key')],
      ]);
      const [, port] = await program.until(/ACCEPT 127\.0\.0\.1:(\d+)/);
      const near = new Recorder();
      await loop.createConnection(() => near, '127.0.0.1', Number(port), {
        ssl: { ...clientTls(), ...certificates.client, ALPNProtocols: ['gyre'] },
        serverHostname: 'localhost',
      });
      const { transport } = near;
      assert.equal((transport.getExtraInfo('sslObject') as TLSSocket).alpnProtocol, 'gyre');
      assert.equal(transport.getExtraInfo('cipher')?.version, version);
      transport.write('question\n');
      await program.until(/question/);
      program.say('answer\n');
      await near.untilReceived(7);
      // For TLS 1.3 new keys of one side and of both, for TLS 1.2 a new handshake, while data flows.
      for (const command of version === 'TLSv1.3' ? ['k', 'K'] : ['r']) {
        program.say(`${command}\n`);
        await sleep(0.05);
        transport.write(`after ${command}\n`);
        await program.until(new RegExp(`after ${command}`));
        const received = near.received;
        program.say('and back\n');
        await near.untilReceived(received + 9);
      }
      // At its `Q` it ends the connection, but not TLS.
      program.say('Q\n');
      await near.untilLost();
      assert.equal((near.exception as { code?: string } | null)?.code, 'ERR_TLS_TRUNCATED');
      await program.ended();
    }),
  );

  test(
    `much data flows from and to OpenSSL: ${version}`,
    { skip: skipOpenssl },
    onNode(async (loop) => {
      const program = new Program('openssl', [
        ...['s_server', '-accept', '127.0.0.1:0', flag, '-rev'],
        ...['-cert', certificatePath('server'), '-key', certificatePath('server-key')],
      ]);
      const [, port] = await program.until(/ACCEPT 127\.0\.0\.1:(\d+)/);
      const near = new Recorder();
      await loop.createConnection(() => near, '127.0.0.1', Number(port), { ssl: clientTls() });
      // It returns each line in reverse.
      const lines = Array.from({ length: 20_000 }, (_, i) => `${i}-`.repeat(10));
      const wanted = lines.map((line) => [...line].reverse().join('')).join('\n');
      near.transport.write(`${lines.join('\n')}\n`);
      await near.untilReceived(wanted.length);
      assert.equal(
        createHash('sha1').update(near.text.trimEnd()).digest('hex'),
        createHash('sha1').update(wanted).digest('hex'),
      );
      await end(near);
      await program.kill();
    }),
  );

  test(
    `curl gets a page from a gyre server: ${version}`,
    { skip: skipCurl },
    onNode(async (loop) => {
      const body = 'x'.repeat(3_000_000);
      const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
      const server = await loop.createServer(
        () => {
          let transport: Transport;
          let request = '';
          return {
            connectionMade: (made) => {
              transport = made;
            },
            dataReceived: (data) => {
              request += data.toString();
              if (!request.includes('\r\n\r\n')) return;
              transport.write(answer);
              transport.close();
            },
          };
        },
        '127.0.0.1',
        0,
        { ssl: { ...serverTls(), maxVersion: version, ALPNProtocols: ['http/1.1'] } },
      );
      const url = `https://localhost:${portOf(server)}/`;
      const pinned = ['--resolve', `localhost:${portOf(server)}:127.0.0.1`, '--noproxy', '*'];
      const curl = async (...args: string[]): Promise<[number | null, string]> => {
        const program = new Program('curl', ['--silent', '--show-error', ...pinned, ...args, url]);
        program.done();
        return [await program.ended(), program.output];
      };
      const [code, output] = await curl('--cacert', certificatePath('ca'));
      assert.deepEqual([code, output.length], [0, body.length], output.slice(0, 300));
      // curl's code for a certificate without a trusted issuer.
      assert.equal((await curl())[0], 60);
      await stop(server);
    }),
  );

  test(
    `node:tls talks to gyre as server and as client: ${version}`,
    onNode(async (loop) => {
      const versions = { minVersion: version, maxVersion: version };
      const { server, port } = await nodeTlsServer({ ...serverTls(), ...versions }, (socket) => {
        socket.on('data', (data: Buffer) => socket.write(`echo ${data.toString()}`));
      });
      const near = new Recorder();
      await loop.createConnection(() => near, '127.0.0.1', port, { ssl: clientTls() });
      near.transport.write('hello');
      await near.untilReceived(10);
      assert.equal(near.text, 'echo hello');
      await end(near);
      assert.equal(near.exception, null);
      await closedServer(server);

      const [own, ownPort] = await capitals(loop);
      const socket = await nodeTlsClient(ownPort, versions);
      socket.end('all of it');
      assert.equal(await rest(socket), 'ALL OF IT');
      await closedSocket(socket);
      await stop(own);
    }),
  );
}

test(
  'a server that requests a certificate rejects openssl s_client without one, and continues',
  { skip: skipOpenssl },
  onNode(async (loop, reports) => {
    const asking = { ...serverTls(), requestCert: true, ca: certificates.ca };
    const { server, port, made } = await recordingServer(loop, asking);
    for (const flag of ['-tls1_2', '-tls1_3']) {
      const program = new Program('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, flag]);
      await program.ended();
      assert.match(program.output, /alert|reset|errno/);
    }
    assert.equal(made.length, 0);
    assert.deepEqual(reports.takeMessages(), []);
    await stop(server);
  }),
);

test(
  'a gyre client takes part in a renegotiation of a TLS 1.2 server',
  onNode(async (loop) => {
    const { server, port } = await nodeTlsServer({ ...serverTls(), maxVersion: 'TLSv1.2' }, (socket) => {
      socket.on('data', (data: Buffer) => {
        if (data.toString() === 'renegotiate') {
          socket.renegotiate({ rejectUnauthorized: false, requestCert: true }, () => socket.write('done'));
        } else {
          socket.write(data);
        }
      });
    });
    const near = new Recorder();
    await loop.createConnection(() => near, '127.0.0.1', port, { ssl: clientTls() });
    near.transport.write('renegotiate');
    await near.untilReceived(4);
    near.transport.write(', and on');
    await near.untilReceived(12);
    assert.equal(near.text, 'done, and on');
    await end(near);
    await closedServer(server);
  }),
);
