import type { Distribution } from './results.ts';

export function distribution(figures: readonly number[]): Distribution {
  const [least, most] = spread(figures);
  return { p50: median(figures), p95: quantile(figures, 0.95), least, most, count: figures.length };
}

export const median = (figures: readonly number[]): number => quantile(figures, 0.5);

/** The least and the most. */
export const spread = (figures: readonly number[]): [number, number] => [Math.min(...figures), Math.max(...figures)];

export const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);

/** By how much y grows when x grows by one, by least squares; 0 of fewer than two points. */
export function slope(points: readonly { x: number; y: number }[]): number {
  const [meanX, meanY] = [sum(points.map(({ x }) => x)) / points.length, sum(points.map(({ y }) => y)) / points.length];
  const squares = sum(points.map(({ x }) => (x - meanX) ** 2));
  return points.length < 2 || squares === 0 ? 0 : sum(points.map(({ x, y }) => (x - meanX) * (y - meanY))) / squares;
}

/** The figure below which a share of all of them lies, between two neighbours in proportion; NaN of none. */
function quantile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((one, other) => one - other);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
