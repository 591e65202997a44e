// Glass to glass: how long after the camera a viewer sees the picture, by a clock in the picture itself.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { PLAYERS } from '../harness/browser.js';
import { latencyPlot } from '../harness/plot.js';
import { sleep } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { targetDirectory } from '../harness/server.js';
import { driftOf, figuresOf, glassFaults, median } from '../harness/latency.js';
import { settled } from '../harness/viewing.js';

const GLASS = 'glass to glass';
const STARTS = 'starts at once';
const STARTS_EACH = 5;
const START_MS_MAX = 1_000;
const START_PLAY_MS = 700;
const COLLECT_MS = 10_000;
// Catching up with the channel after the start is the player's business, not drift.
const CATCH_UP_MS = 10_000;

/** How far behind the camera each player may be, in milliseconds (median). */
export const LATENCY_MS_MAX = { 'hls.js': 1_500, 'Shaka (HLS)': 2_500, 'Shaka (DASH)': 2_500, 'dash.js': 2_500 };

/** All players watch the clock at the same time, each in a window of its own, for `seconds`. */
export async function glassToGlass({ report, browser, server, feed, seconds }) {
  const names = Object.keys(PLAYERS).filter((name) => report.wants(`${GLASS}: ${name}`));
  if (!names.length) return;
  const watched = [];
  for (const name of names) watched.push(await opened(browser, server.channel(feed), name));
  const playing = watched.filter(({ error }) => !error);
  await sleep(CATCH_UP_MS);
  for (const one of playing) {
    one.before = await one.viewer.figures();
    await one.viewer.glass();
  }
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    await sleep(Math.min(COLLECT_MS, end - Date.now()));
    for (const one of playing) await collect(one);
    if (seconds > 120) console.log(`# ${progress(playing)}, ${Math.round((end - Date.now()) / 1000)} s to go`);
  }
  for (const one of playing) one.after = await one.viewer.figures();
  await Promise.all(watched.map(({ viewer }) => viewer.close()));
  keep(playing, seconds);
  for (const one of watched) {
    await report.case(`${GLASS}: ${one.name}, ${seconds} s`, () => {
      if (one.error) throw one.error;
      const figures = figuresOf(one);
      demand(glassFaults(one, { latencyMsMax: LATENCY_MS_MAX[one.name] }), figures);
      return figures;
    });
  }
}

async function opened(browser, channel, name) {
  const viewer = await browser.play(name, channel, 'low-latency');
  const one = { name, viewer, series: [], gaps: [], unreadable: 0 };
  return settled(viewer).then(
    () => one,
    (error) => ({ ...one, error }),
  );
}

async function collect(one) {
  const { series, gaps, unreadable } = await one.viewer.glass();
  one.series.push(...series);
  one.gaps.push(...gaps);
  one.unreadable += unreadable;
}

function progress(playing) {
  const now = playing.map(({ name, series }) => `${name} ${median(series.slice(-50).map(([, latency]) => latency))} ms`);
  return now.join(', ');
}

/** The series as JSON for whoever wants to look closer, and as a plot for whoever just looks. */
function keep(playing, seconds) {
  const directory = join(targetDirectory(), 'players');
  const told = playing.map((one) => {
    const { name, series, gaps, unreadable } = one;
    return { name, figures: figuresOf(one), driftMs: driftOf(series), gaps, unreadable, series };
  });
  const columns = ['milliseconds since 1970', 'latency in milliseconds', 'media time in seconds'];
  writeFileSync(join(directory, 'glass.json'), `${JSON.stringify({ seconds, columns, players: told })}\n`);
  writeFileSync(join(directory, 'glass.svg'), latencyPlot(told, LATENCY_MS_MAX));
  console.log(`# plot in ${join(directory, 'glass.svg')}`);
}

/** From the player's load() to its first picture, with the page's scripts in the browser's cache. */
export async function warmStarts({ report, browser, server, feed }) {
  for (const name of Object.keys(PLAYERS)) {
    await report.case(`${name} ${STARTS}`, async () => {
      const viewer = await browser.play(name, server.channel(feed), 'low-latency');
      try {
        await settled(viewer);
        const starts = [];
        while (starts.length < STARTS_EACH) {
          await viewer.reload();
          starts.push((await settled(viewer, START_PLAY_MS)).firstPictureMs);
        }
        const figures = { median: `${median(starts)} ms`, each: starts.join('/') };
        demand(median(starts) < START_MS_MAX ? [] : [`takes ${median(starts)} ms to its first picture`], figures);
        return figures;
      } finally {
        await viewer.close();
      }
    });
  }
}
