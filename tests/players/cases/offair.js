// A feed as it comes off air: interlaced, B-frames, several codecs and languages, SCTE-35.

import HLS from 'hls-parser';

import { PAIRS } from '../harness/browser.js';
import { sleep } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { CUE_PID } from '../harness/scte35.js';
import { text } from '../harness/server.js';
import { offAir, player } from '../harness/venue.js';
import { resumedFaults, shortLanguage, summary } from '../harness/verdict.js';
import { watchThrough } from '../harness/viewing.js';
import { cuesParse } from './tags.js';

const KEEPS = 'an off-air feed keeps its tracks, languages and cues';
const PLAYS = 'plays an off-air feed in either language';
const WATCH_MS = 6_000;
// Changing the language empties a player's buffer of sound.
const SWITCH_STALL_MS_MAX = 2_000;

export async function offAirPlays({ feeds, ...context }) {
  const { report, server } = context;
  const players = PAIRS.flat().map((name) => `${name} ${PLAYS}`);
  if (![KEEPS, ...players].some((name) => report.wants(name))) return;
  for (const [index, pair] of PAIRS.entries()) {
    const feed = feeds[index];
    const venue = player(server.publish(feed), await offAir());
    try {
      await server.established(feed);
      if (index === 0) {
        await report.case(KEEPS, () => description(server, feed));
        await cuesParse({ report, server, feed });
      }
      // One by one: two that decode fifty pictures a second by software would measure this machine.
      for (const name of pair) await views({ ...context, feed }, name);
    } finally {
      await venue.stop();
    }
  }
}

async function views({ report, browser, server, feed }, name) {
  if (!report.wants(`${name} ${PLAYS}`)) return;
  const inFrench = async ([viewer]) => {
    await sleep(WATCH_MS);
    await viewer?.select('fr');
    await sleep(WATCH_MS);
  };
  const [{ error, before, near, after }] = await watchThrough(browser, server.channel(feed), [name], inFrench);
  await report.case(`${name} ${PLAYS}`, () => {
    if (error) throw error;
    const figures = summary(before, after);
    const faults = resumedFaults(before, after, { stallMsMax: SWITCH_STALL_MS_MAX, switched: true });
    for (const { ms } of after.freezes.slice(near.freezes.length)) faults.push(`stood again later, for ${ms} ms`);
    demand(faults, figures);
    return figures;
  });
}

/** What the Playlists and the admin interface say of the feed. */
async function description(server, feed) {
  const multivariant = HLS.parse(await text(`${server.channel(feed)}/index.m3u8`));
  const manifest = await text(`${server.channel(feed)}/manifest.mpd`);
  const feeds = JSON.stringify(await server.api('feeds'));
  const renditions = multivariant.variants.flatMap(({ audio }) => audio);
  const languages = [...new Set(renditions.map(({ language }) => shortLanguage(language)))].sort().join('+');
  const codecs = [...new Set(multivariant.variants.flatMap((variant) => variant.codecs.split(',')))].sort();
  const sizes = [...new Set(multivariant.variants.map(({ resolution: r }) => `${r.width}x${r.height}`))].join();

  const faults = [];
  if (languages !== 'en+fr') faults.push(`the multivariant Playlist has the languages ${languages}`);
  if (sizes !== '1920x1080') faults.push(`the multivariant Playlist has pictures of ${sizes}`);
  for (const wanted of ['avc1', 'mp4a.40.2', 'ac-3', 'mp4a.6B']) {
    if (!codecs.some((codec) => codec.startsWith(wanted))) faults.push(`CODECS lacks ${wanted}: ${codecs}`);
    if (!manifest.includes(wanted)) faults.push(`the Manifest lacks ${wanted}`);
  }
  if (!/scte.?35/i.test(feeds) || !feeds.includes(String(CUE_PID))) {
    faults.push(`the admin interface does not tell of the SCTE-35 on PID ${CUE_PID}: ${feeds}`);
  }
  const figures = { languages, codecs: codecs.join('+'), pictures: sizes };
  demand(faults, figures);
  return figures;
}
