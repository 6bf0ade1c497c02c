/** Echo over TLS, by Bun's sockets. */
import { echo } from './echo-handler.ts';
import { serveTls } from './serve.ts';

serveTls(echo);
