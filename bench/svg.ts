/**
 * Bars as SVG: a panel for each workload, with a scale of its own, and a bar for each peer. The picture has
 * its own background, and follows the reader's choice of light or dark.
 */

export interface Bar {
  label: string;
  value: number;
  /** The value as a reader sees it. */
  text: string;
  /** gyre's own bars are coloured; a quiet one is its second backend. */
  look: 'gyre' | 'quiet' | 'peer';
}

export interface Panel {
  title: string;
  /** The unit, and which way is better. */
  note: string;
  bars: readonly Bar[];
}

export interface Picture {
  title: string;
  panels: readonly Panel[];
}

const COLUMNS = 2;
const MARGIN = 20;
const PANEL_WIDTH = 400;
const LABEL_WIDTH = 128;
const TEXT_WIDTH = 56;
const ROW = 21;
const BAR = 14;
const HEAD = 44;
const GAP = 22;
const BAR_WIDTH = PANEL_WIDTH - LABEL_WIDTH - TEXT_WIDTH;

const STYLE = `
    .back { fill: #ffffff; stroke: #d0d7de }
    text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 13px }
    .note { fill: #59636e; font-size: 11px }
    .gyre { fill: #0969da } .quiet { fill: #86b6ef } .peer { fill: #afb8c1 }
    @media (prefers-color-scheme: dark) {
      .back { fill: #0d1117; stroke: #3d444d }
      text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      .gyre { fill: #4493f8 } .quiet { fill: #2a5a9e } .peer { fill: #656c76 }
    }`;

export function svgOf({ title, panels }: Picture): string {
  const rows = Array.from({ length: Math.ceil(panels.length / COLUMNS) }, (_, row) =>
    panels.slice(row * COLUMNS, (row + 1) * COLUMNS),
  );
  const width = 2 * MARGIN + Math.min(COLUMNS, panels.length) * (PANEL_WIDTH + GAP) - GAP;
  let y = MARGIN;
  const parts: string[] = [];
  for (const row of rows) {
    parts.push(...row.map((panel, column) => panelAt(panel, MARGIN + column * (PANEL_WIDTH + GAP), y)));
    y += Math.max(...row.map(heightOf)) + GAP;
  }
  const height = y - GAP + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
  <title id="title">${escaped(title)}</title>
  <desc id="desc">${escaped(panels.map(described).join(' '))}</desc>
  <style>${STYLE}
  </style>
  <rect class="back" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${parts.join('\n')}
</svg>
`;
}

function heightOf({ bars }: Panel): number {
  return HEAD + bars.length * ROW;
}

function panelAt({ title, note, bars }: Panel, x: number, y: number): string {
  const longest = Math.max(...bars.map(({ value }) => value));
  const lines = bars.map((bar, i) => barAt(bar, longest, HEAD + i * ROW));
  return `  <g transform="translate(${x} ${y})">
    <text class="title" y="13">${escaped(title)}</text>
    <text class="note" y="30">${escaped(note)}</text>
${lines.join('\n')}
  </g>`;
}

function barAt({ label, value, text, look }: Bar, longest: number, y: number): string {
  const length = Math.max(1, Math.round((value / longest) * BAR_WIDTH));
  const baseline = y + BAR - 3;
  return `    <text x="${LABEL_WIDTH - 8}" y="${baseline}" text-anchor="end">${escaped(label)}</text>
    <rect class="${look}" x="${LABEL_WIDTH}" y="${y}" width="${length}" height="${BAR}" rx="2"/>
    <text x="${LABEL_WIDTH + length + 6}" y="${baseline}">${escaped(text)}</text>`;
}

function described({ title, note, bars }: Panel): string {
  return `${title} (${note}): ${bars.map(({ label, text }) => `${label} ${text}`).join(', ')}.`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
