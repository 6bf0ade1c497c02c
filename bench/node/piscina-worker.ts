/** The worker of `threads-piscina`. */
export function same(n: number): number {
  return n;
}
