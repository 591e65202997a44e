// A bit rate's last two minutes in the height of a line of text.

import { TREND_POINTS } from '../state/store';

const WIDTH = TREND_POINTS;
const HEIGHT = 24;

/** Gaps stay gaps. The scale starts at zero, so that a half is seen as a half. */
export function Spark({ values }: { values: (number | null)[] }) {
  const line = sparkPath(values);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={areaPath(line)} fill="currentColor" opacity="0.16" />
      <path d={line} fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" />
    </svg>
  );
}

/** What lies below each unbroken run of the line. */
function areaPath(line: string): string {
  return line.replace(/M([\d.]+) [^M]*?([\d.]+) [\d.]+(?=M|$)/g, (run, first: string, last: string) => `${run}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`);
}

export function sparkPath(values: (number | null)[]): string {
  let max = 0;
  for (const value of values) if (value !== null && value > max) max = value;
  if (max === 0) return '';
  const left = WIDTH - values.length;
  let path = '';
  let pen = false;
  values.forEach((value, index) => {
    if (value === null) {
      pen = false;
      return;
    }
    const y = Math.round((HEIGHT - 2 - (value / max) * (HEIGHT - 5)) * 10) / 10;
    path += `${pen ? 'L' : 'M'}${left + index} ${y}`;
    pen = true;
  });
  return path;
}
