/** @param {number} n */
export function fib(n) {
  /** @type {(n: number) => number} */
  const f = (n) => (n < 2 ? n : f(n - 1) + f(n - 2));
  return f(n);
}

export function spin() {
  for (;;);
}

/** @param {number} code */
export function exit(code) {
  process.exit(code);
}

export function fail() {
  throw new TypeError('of the job');
}

/** @param {Uint8Array} bytes */
export function size(bytes) {
  return bytes.length;
}
