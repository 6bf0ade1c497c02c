/** The pictures of docs/performance.md. */
import { compact } from './cells.ts';
import type { WorkloadResult } from './ratios.ts';
import { isGyre, middle } from './ratios.ts';
import type { Section } from './sections.ts';
import { labelOf } from './sections.ts';
import type { Bar, Panel, Picture } from './svg.ts';

/** Returns null if nothing of the section was measured. */
export function pictureOf(section: Section, results: readonly WorkloadResult[]): Picture | null {
  const panels = Object.entries(section.panels).flatMap(([name, title]) => {
    const result = results.find(({ workload }) => workload.name === name);
    return result === undefined ? [] : [panelOf(section, title, result)];
  });
  return panels.length === 0 ? null : { title: section.title, panels };
}

function panelOf(section: Section, title: string, { workload, peers }: WorkloadResult): Panel {
  const bars = peers.map((peer): Bar => {
    const value = middle(peer);
    const look = peer.peer === section.gyre ? 'gyre' : isGyre(peer.peer) ? 'quiet' : 'peer';
    return { label: labelOf(peer.peer, section), value, text: compact(value), look };
  });
  const better = workload.better === 'higher' ? 'more is better' : 'less is better';
  return { title, note: `${workload.unit.replace(/^us\b/, 'µs')}, ${better}`, bars };
}
