const columns = 132;
const lineHeight = 18;
const characterWidth = 7.3;
const margin = 18;

/** Lines of a terminal as an SVG: a card with a background of its own, so that it can be read on a light page and on a dark one. */
export function drawTerminal(lines: readonly string[]): string {
  const width = Math.round(columns * characterWidth + 2 * margin);
  const height = lines.length * lineHeight + 2 * margin;
  const rows = lines.map((line, index) => {
    const baseline = margin + (index + 1) * lineHeight - 5;
    return line === '' ? '' : `<text x="${margin}" y="${baseline}">${coloured(clip(line))}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    '<title>npm run demo</title>',
    '<desc>Five agents work on a sample repository: the progress of their cells, then a table of how each ended.</desc>',
    `<style>${style}</style>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...rows.filter((row) => row !== ''),
    '</svg>',
    '',
  ].join('\n');
}

const style = `
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; fill: #1f2328 }
rect { fill: #f6f8fa; stroke: #d1d9e0 }
.strong { font-weight: 700 } .quiet { fill: #59636e } .good { fill: #116329 } .warn { fill: #7d4e00 } .bad { fill: #a40e26 } .step { fill: #0550ae }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } rect { fill: #151b23; stroke: #3d444d }
  .quiet { fill: #9198a1 } .good { fill: #56d364 } .warn { fill: #e3b341 } .bad { fill: #ff7b72 } .step { fill: #79c0ff }
}
`;

const clip = (line: string): string => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line);

/** Words of the output by what they say; the demo itself colours them on a terminal. */
const words = [
  [/(?<![\w/])committed(?![\w/])/g, 'good'],
  [/(?<![\w/])reverted(?![\w/])/g, 'warn'],
  [/(?<![\w/])TokenBudgetExceeded(?![\w/])/g, 'bad'],
  [/(?<!\S)(created|initialising|ready|processing|terminating|terminated)\/\w+/g, 'step'],
] as const;

const heading = /^(\$ |cell +status|Why$|Web UI$|Branches and )/;
const remark = /^(Temporal: |Worker: |…)/;

function coloured(line: string): string {
  const text = line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const span = (kind: string, of: string) => `<tspan class="${kind}">${of}</tspan>`;
  if (heading.test(line)) return span('strong', text);
  if (remark.test(line)) return span('quiet', text);
  return words.reduce((marked, [pattern, kind]) => marked.replace(pattern, (word) => span(kind, word)), text);
}
