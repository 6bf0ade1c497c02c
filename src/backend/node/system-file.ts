/** Reads the system's small tables: `services`, `hosts`, `resolv.conf`. */
import { node } from '../../platform/node-modules.ts';

/** Returns the words of each line, without comments. A missing file has no lines. */
export function systemFile(name: string): string[][] {
  const folder =
    process.platform === 'win32'
      ? `${process.env.SystemRoot ?? 'C:\\Windows'}\\System32\\drivers\\etc`
      : '/etc';
  let text: string;
  try {
    text = node.fs.readFileSync(`${folder}/${name}`, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return text
    .split(/\r?\n/)
    .map((line) => line.replace(/[#;].*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => line.split(/\s+/));
}
