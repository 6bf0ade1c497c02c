/** Whether a value could be a descriptor. Only the system knows whether it is open. */
export function isDescriptor(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
}
