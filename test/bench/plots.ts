import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { BenchResults, FloorFigures, HeldFigures, RunFigures, SequenceFigures } from './results.ts';
import { median } from './statistics.ts';
import { type NamedRuns, runsIn } from './tables.ts';

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

/** Draws what there are figures of, as SVG files in a directory. Answers their paths. */
export async function drawPlots({ parts }: BenchResults, directory: string): Promise<string[]> {
  const runs = runsIn(parts);
  const plots = [
    ...(parts.held ? [{ name: 'memory.svg', plot: memoryPlot(parts.held) }] : []),
    ...(runs.length > 0 ? [{ name: 'cost.svg', plot: costPlot(runs, parts.floor) }] : []),
    ...(parts.sequence ? [{ name: 'growth.svg', plot: growthPlot(parts.sequence) }] : []),
  ];
  await mkdir(directory, { recursive: true });
  return Promise.all(
    plots.map(async ({ name, plot }) => {
      const file = join(directory, name);
      await writeFile(file, svgOf(plot));
      return file;
    }),
  );
}

type Plot = Record<string, unknown>;

function svgOf(plot: Plot): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 860, height: 380 });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: 'sans-serif' },
      grid: { left: 80, right: 80, top: 80, bottom: 60 },
      ...plot,
    });
    return `${chart.renderToSVGString()}\n`;
  } finally {
    chart.dispose();
  }
}

const title = (text: string) => ({ text, left: 'center', textStyle: { fontSize: 15, fontWeight: 'normal' } });
const legend = { top: 32 };
const axis = (name: string, more: Plot = {}) => ({
  type: 'value',
  name,
  nameLocation: 'middle',
  nameGap: 50,
  ...more,
});

/** Areas on top of each other: what all cells, the worker, the supervisor and Temporal take; beside them, how many cells live. */
function memoryPlot({ cells, samples }: HeldFigures): Plot {
  const parts = [
    ['cells', 'all cells'],
    ['worker', 'worker'],
    ['supervisor', 'supervisor'],
    ['temporal', 'Temporal server'],
  ] as const;
  const line = { type: 'line', symbol: 'none' };
  return {
    title: title(`${cells} cells at once: memory and how many live`),
    legend,
    xAxis: axis('seconds', { nameGap: 30, max: 'dataMax' }),
    yAxis: [axis('MiB (PSS)'), axis('cells alive', { splitLine: { show: false } })],
    series: [
      ...parts.map(([key, name]) => ({
        ...line,
        name,
        stack: 'memory',
        areaStyle: {},
        lineStyle: { width: 0 },
        data: samples.map((sample) => [round(sample.at), round(sample[key])]),
      })),
      {
        ...line,
        name: 'cells alive',
        yAxisIndex: 1,
        step: 'end',
        lineStyle: { width: 2, color: '#333333' },
        itemStyle: { color: '#333333' },
        data: samples.map(({ at, alive }) => [round(at), alive]),
      },
    ],
  };
}

/** Bars of processor time for one cell, by who used it, beside those of the plain loop. */
function costPlot(named: readonly NamedRuns[], floor: FloorFigures | undefined): Plot {
  const loops = floor ? ['plain loop,\nswitches of cells', 'plain loop,\nas OpenCode comes'] : [];
  const parts = [
    ['cell', 'in the cell'],
    ['worker', 'worker'],
    ['git', 'git'],
    ['supervisor', 'supervisor'],
    ['temporal', 'Temporal server'],
  ] as const;
  const bar = { type: 'bar', stack: 'cost', barMaxWidth: 60 };
  const ofRuns = (runs: readonly RunFigures[], part: (typeof parts)[number][0]) =>
    round(median(runs.map(({ cost }) => cost[part])), 3);
  return {
    title: title('Processor time for one cell'),
    legend,
    xAxis: {
      type: 'category',
      data: [...loops, ...named.map(({ name }) => name.replace(', ', ',\n'))],
      axisLabel: { interval: 0 },
    },
    yAxis: axis('seconds'),
    series: [
      ...(floor
        ? [{ ...bar, name: 'plain loop', data: [round(floor.lean.cpu.p50, 3), round(floor.plain.cpu.p50, 3)] }]
        : []),
      ...parts.map(([part, name]) => ({
        ...bar,
        name,
        data: [...loops.map(() => null), ...named.map(({ runs }) => ofRuns(runs, part))],
      })),
    ],
  };
}

function growthPlot({ cells, growth }: SequenceFigures): Plot {
  const line = (name: string, of: 'worker' | 'supervisor') => ({
    type: 'line',
    symbol: 'none',
    name,
    data: growth.map((look) => [look.cells, round(look[of])]),
  });
  return {
    title: title(`${cells} cells in sequence: anonymous memory`),
    legend,
    xAxis: axis('cells ended', { nameGap: 30, max: 'dataMax' }),
    yAxis: axis('MiB', { min: 0 }),
    series: [line('worker', 'worker'), line('supervisor', 'supervisor')],
  };
}

const round = (figure: number, digits = 1): number => Number(figure.toFixed(digits));
