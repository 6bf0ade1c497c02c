/** Requests of `node:http` and `node:https`, for the tests of `gyre/node`. */
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request as secureRequest } from 'node:https';
import { text } from 'node:stream/consumers';

/** Begins a request without a body. */
export function begin(url: string, options: RequestOptions = {}): ClientRequest {
  return (url.startsWith('https:') ? secureRequest : request)(url, options).end();
}

/** Waits for the response of a request. */
export async function responseOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

/** Requests `url`, and returns the body. */
export async function get(url: string, options: RequestOptions = {}): Promise<string> {
  return text(await responseOf(begin(url, options)));
}

/** Waits for the error of a request, and returns its code. */
export async function codeOf(sent: ClientRequest): Promise<unknown> {
  const [error] = (await once(sent, 'error')) as [Error & { code?: unknown }];
  return error.code;
}
