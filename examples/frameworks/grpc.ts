/**
 * A gRPC server over connections of the loop. The connection injector of `@grpc/grpc-js` takes them. With the
 * option `ssl` of `serve()`, gyre does the TLS; the credentials stay insecure.
 *
 *   $ node --import tsx examples/frameworks/grpc.ts
 */
import type { ServerUnaryCall, ServiceDefinition, sendUnaryData } from '@grpc/grpc-js';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { CancelledError, getRunningLoop, run, sleep } from 'gyre';
import { serve } from 'gyre/node';

const toBytes = (text: string): Buffer => Buffer.from(text);
const toText = (bytes: Buffer): string => bytes.toString();

/** As a `.proto` file would define it. */
const echo: ServiceDefinition = {
  say: {
    path: '/echo.Echo/say',
    requestStream: false,
    responseStream: false,
    requestSerialize: toBytes,
    requestDeserialize: toText,
    responseSerialize: toBytes,
    responseDeserialize: toText,
  },
};

const grpc = new Server();
grpc.addService(echo, {
  say(call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>): void {
    console.log('say', call.request);
    getRunningLoop().createTask(async () => {
      await sleep(0.1);
      answer(null, `echo ${call.request}`);
    });
  },
});

await run(async () => {
  const port = process.env.PORT ?? 50051;
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const server = await serve(injector, { host: '127.0.0.1', port, deadline: 5 });
  console.log(`gRPC on ${new URL(server.url).host}`);
  await server.serveForever();
}).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
});
console.log('closed');
