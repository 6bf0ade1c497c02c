/** Waiting for the host, with no loop that runs. */

/**
 * The host polls, and whatever it has to tell is told.
 *
 * @param count poll phases; the default is more than anything takes that comes over this machine's own
 *   addresses
 */
export async function hostPasses(count: number = 30): Promise<void> {
  for (let i = 0; i < count; i++) await hostPass();
}

/** One poll phase of the host. */
export function hostPass(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
