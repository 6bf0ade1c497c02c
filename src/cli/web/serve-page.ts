/**
 * Serves a page on loopback that shows a process, live. The address has a secret, because every user of the
 * machine can connect to loopback.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRunningLoop } from '../../index.ts';
import { packageFile } from '../../platform/package-files.ts';
import { Problem } from '../problem.ts';

/** The page may load nothing, and no other page may show it in a frame. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export interface PageServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * @param port 0 for a free one
 * @param figures returns what the page shows, each second
 */
export async function servePage(port: number, figures: () => Promise<unknown>): Promise<PageServer> {
  const page = readFileSync(pageFile());
  const secret = randomBytes(16).toString('hex');
  const server = createServer((request, response) => {
    void respond(request, response).catch((error) => end(response, 500, String(error)));
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    // A name in the Host header means that a foreign page has this address behind its own name.
    if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')) return end(response, 403);
    if (!isSecret(url.searchParams.get('secret') ?? '', secret)) return end(response, 403);
    if (url.pathname === '/') return end(response, 200, page, 'text/html; charset=utf-8');
    if (url.pathname !== '/figures') return end(response, 404);
    try {
      end(response, 200, JSON.stringify(await figures()), 'application/json');
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      end(response, 410, error.message); // the process has ended
    }
  }

  await listening(server, port);
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}/?secret=${secret}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function pageFile(): URL {
  const file = packageFile('src/cli/web/page.html');
  if (file === null) throw new Problem('the package has no page: src/cli/web/page.html is missing');
  return file;
}

async function listening(server: ReturnType<typeof createServer>, port: number): Promise<void> {
  const listens = getRunningLoop().createFuture<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    listens.setException(
      error.code === 'EADDRINUSE'
        ? new Problem(`port ${port} is in use: choose another one by --port`)
        : error,
    );
  });
  server.listen(port, '127.0.0.1', () => listens.setResult());
  await listens;
}

function isSecret(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function end(
  response: ServerResponse,
  status: number,
  body: string | Buffer = '',
  type = 'text/plain',
): void {
  response.writeHead(status, { ...HEADERS, 'content-type': type }).end(body);
}
