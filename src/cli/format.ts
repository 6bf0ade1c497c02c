/** Figures and tables as text. */

/** Formats a time in the unit that people would use: `350 µs`, `2.1 s`, `3 h 20 min`. */
export function seconds(value: number): string {
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${short(value * 1000)} ms`;
  if (value < 60) return `${short(value)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(value % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** Formats a size: `512 B`, `12.3 KiB`. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 ** 2) return `${short(value / 1024)} KiB`;
  return value < 1024 ** 3 ? `${short(value / 1024 ** 2)} MiB` : `${short(value / 1024 ** 3)} GiB`;
}

function short(value: number): string {
  return value < 10 ? value.toFixed(1) : Math.round(value).toString();
}

/** Formats a count: `1,204`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/**
 * Formats rows under a head, each column as wide as its longest cell. Columns that are empty in every row are
 * left out. The last column may be of any length.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const columns = head.map((_, index) => index).filter((index) => rows.some((row) => row[index] !== ''));
  const all = [head, ...rows].map((row) => columns.map((index) => row[index] ?? ''));
  const widths = columns.map((_, index) => Math.max(...all.map((row) => (row[index] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
