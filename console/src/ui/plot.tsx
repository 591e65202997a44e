// A quantity over the last ten minutes.

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { colour, colours } from '../state/theme';

interface Props {
  title: string;
  /** Seconds since 1970, and a value or a gap for each. */
  times: number[];
  values: (number | null)[];
  format: (value: number | null | undefined) => string;
  /** The scale reaches at least this far, so that noise does not fill it. */
  atLeast: number;
  line: string;
}

const HEIGHT = 150;

export function Plot({ title, times, values, format, atLeast, line }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = colours.value;

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(options(element.clientWidth, format, atLeast, line), [times, values], element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme]);

  useEffect(() => plot.current?.setData([times, values]), [times]);

  const known = values.filter((value): value is number => value !== null);
  const low = known.length ? Math.min(...known) : null;
  const high = known.length ? Math.max(...known) : null;
  return (
    <figure class="plot">
      <figcaption>
        <span class="plot-title">{title}</span>
        <span class="plot-now">{format(values.at(-1))}</span>
        <span class="plot-range">
          {format(low)} to {format(high)}
        </span>
      </figcaption>
      <div ref={host} class="plot-host" role="img" aria-label={`${title} over the last ten minutes`} />
    </figure>
  );
}

function options(width: number, format: Props['format'], atLeast: number, line: string): uPlot.Options {
  const muted = colour('--muted');
  const grid = { stroke: colour('--border'), width: 1 };
  const stroke = colour(line);
  const axis = { stroke: muted, grid, ticks: { show: false }, font: '11px Inter Variable, system-ui, sans-serif' };
  return {
    width,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 6 }, y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(atLeast, (max ?? 0) * 1.1)] } },
    axes: [
      { ...axis, size: 28, values: (_, splits) => splits.map(clock) },
      { ...axis, size: 76, values: (_, splits) => splits.map((value) => format(value)), grid: { ...grid, dash: [2, 4] } },
    ],
    series: [{}, { stroke, width: 1.5, fill: stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.1)'), points: { show: false } }],
  };
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(11, 16);
}
