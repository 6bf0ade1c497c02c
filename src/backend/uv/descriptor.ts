/** Whether a value could be a descriptor. Whether it is one, the system knows. */
export function isDescriptor(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
}
