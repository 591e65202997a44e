// A plot of latency over time, one panel a player, as SVG.

const WIDTH = 1000;
const PANEL = 170;
const LEFT = 60;
const RIGHT = 20;
const TOP = 34;
const BOTTOM = 30;
const COLUMNS = 500;
const STYLE =
  'text{font:12px sans-serif;fill:#222}.title{font-size:14px;font-weight:bold}.grid{stroke:#ddd}' +
  '.limit{stroke:#c22;stroke-dasharray:6 4}.band{fill:#9bd}.line{fill:none;stroke:#036}';

/** `players` have a `name`, `figures` and a `series` of `[at, latency]`; `limits` are by name. */
export function latencyPlot(players, limits) {
  const from = Math.min(...players.flatMap(({ series }) => series.slice(0, 1).map(([at]) => at)));
  const to = Math.max(...players.flatMap(({ series }) => series.slice(-1).map(([at]) => at)));
  const panels = players.map((player, index) => panel(player, { from, to, top: index * PANEL, limit: limits[player.name] }));
  const height = players.length * PANEL + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<title>Glass to glass latency</title><style>${STYLE}</style><rect width="100%" height="100%" fill="#fff"/>`,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function panel({ name, figures, series }, { from, to, top, limit }) {
  const most = Math.max(limit, ...series.map(([, latency]) => latency)) * 1.05;
  const x = (at) => LEFT + ((at - from) / Math.max(1, to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (ms) => top + PANEL - BOTTOM - (ms / most) * (PANEL - TOP - BOTTOM);
  const columns = condensed(series, from, to);
  const band = [...columns.map(({ at, most }) => [at, most]), ...columns.map(({ at, least }) => [at, least]).reverse()];
  const points = (pairs) => pairs.map(([at, ms]) => `${x(at).toFixed(1)},${y(ms).toFixed(1)}`).join(' ');
  const caption = `${name}: median ${figures.median}, p95 ${figures.p95}, max ${figures.max}, drift ${figures.drift}`;
  return [
    `<text class="title" x="${LEFT}" y="${top + 22}">${caption}</text>`,
    ...ticks(most, 500).map((ms) => horizontal(y(ms), 'grid', `${ms} ms`)),
    horizontal(y(limit), 'limit', ''),
    ...ticks((to - from) / 1000, (to - from) / 1000 > 300 ? 300 : 10).map((second) => {
      const label = second >= 300 ? `${second / 60} min` : `${second} s`;
      return `<text x="${x(from + second * 1000)}" y="${top + PANEL - BOTTOM + 16}" text-anchor="middle">${label}</text>`;
    }),
    `<polygon class="band" points="${points(band)}"/>`,
    `<polyline class="line" points="${points(columns.map(({ at, middle }) => [at, middle]))}"/>`,
  ].join('\n');
}

function horizontal(y, kind, label) {
  const text = label && `<text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${label}</text>`;
  return `<line class="${kind}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>${text}`;
}

function ticks(most, step) {
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

/** Least, middle and most of each column of the plot. */
function condensed(series, from, to) {
  const columns = new Map();
  for (const [at, latency] of series) {
    const column = Math.floor(((at - from) / Math.max(1, to - from)) * COLUMNS);
    columns.set(column, [...(columns.get(column) ?? []), [at, latency]]);
  }
  return [...columns.values()].map((values) => {
    const sorted = values.map(([, latency]) => latency).sort((a, b) => a - b);
    return { at: values[0][0], least: sorted[0], middle: sorted[sorted.length >> 1], most: sorted.at(-1) };
  });
}
