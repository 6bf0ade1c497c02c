/** The types that the tests need of packages without types. */

declare module 'express' {
  import type { RequestListener } from 'node:http';

  interface App extends RequestListener {
    get(
      path: string,
      handler: (request: { params: Record<string, string> }, response: Response) => void,
    ): void;
    listen(port: number, done: () => void): import('node:http').Server;
  }
  interface Response {
    json(value: unknown): void;
  }
  const express: () => App;
  // biome-ignore lint/style/noDefaultExport: it is what the package has.
  export default express;
}
