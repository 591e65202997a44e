// What a feed may do while it is watched: its encoder dies and returns, its picture changes.

import HLS from 'hls-parser';

import { PAIRS, PLAYERS } from '../harness/browser.js';
import { sleep } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { text } from '../harness/server.js';
import { PICTURE_SECONDS, changing, changingEncoder } from '../harness/venue.js';
import { resumedFaults, summary } from '../harness/verdict.js';
import { watchThrough } from '../harness/viewing.js';
import { playlists } from './playlists.js';

const RETURNS = 'goes on when the encoder dies and returns';
const CHANGES = 'goes on when the picture changes';
const AWAY_MS = 4_000;
const SEGMENT_MS = 2_000;
// The sound of a moment comes up to a quarter of a second after its picture: as many of its frames are sent together.
const BEGUN_MS = 100;
const RETURN_MS = 15_000;
// Away, connected and encoding again, and as much again as a player holds back.
const RETURN_STALL_MS_MAX = AWAY_MS + 8_000;
const CHANGE_STALL_MS_MAX = 2_000;
// The change comes while all of them play, whatever they hold back.
const THROUGH_CHANGE_MS = (PICTURE_SECONDS - 8) * 1000;
const PICTURES = ['1280x720', '960x540'];

/**
 * The encoder is killed and is back within five seconds. No page is loaded again. It goes as the pictures have begun a
 * Segment and the sound, which comes later, mostly has not: that one is then missing of the sound.
 */
export async function encoderReturns({ report, browser, server, feed, venue }) {
  const names = Object.keys(PLAYERS).filter((name) => report.wants(`${name} ${RETURNS}`));
  const watched = await watchThrough(browser, server.channel(feed), names, async () => {
    await segmentBegun(server, feed);
    await venue.stop('SIGKILL');
    await sleep(AWAY_MS);
    venue.start();
    await sleep(RETURN_MS);
  });
  for (const { name, error, before, near, after } of watched) {
    await report.case(`${name} ${RETURNS}`, () => {
      if (error) throw error;
      const figures = summary(before, after);
      const faults = resumedFaults(before, after, { stallMsMax: RETURN_STALL_MS_MAX });
      for (const { ms } of after.freezes.slice(near.freezes.length)) faults.push(`stood again later, for ${ms} ms`);
      // What became of the venue, and what the server made of it.
      if (faults.length) faults.push(`encoder: ${JSON.stringify(venue.process.end)} ${venue.process.stderr}`, server.log());
      demand(faults, figures);
      return figures;
    });
  }
}

/** Waits until the pictures have begun a Segment a moment ago: Segments begin evenly. */
async function segmentBegun(server, feed) {
  const { media } = await playlists(server.channel(feed));
  const { segments } = HLS.parse(await text(media[0]));
  const { programDateTime, duration } = segments.findLast(({ uri }) => uri);
  const begun = programDateTime.getTime() + duration * 1000 + BEGUN_MS;
  const periods = Math.ceil((Date.now() - begun) / SEGMENT_MS);
  await sleep(begun + Math.max(0, periods) * SEGMENT_MS - Date.now());
}

/** The picture's size and profile change mid-stream, without a break in the contribution. */
export async function pictureChanges({ feeds, ...context }) {
  for (const [index, pair] of PAIRS.entries()) {
    const names = pair.filter((name) => context.report.wants(`${name} ${CHANGES}`));
    // A feed for each: what the one before it left is still in the channel.
    if (names.length) await throughChange({ ...context, feed: feeds[index] }, names);
  }
}

async function throughChange({ report, browser, server, feed }, names) {
  const venue = changingEncoder(server.publish(feed), await changing());
  try {
    await server.established(feed);
    const watched = await watchThrough(browser, server.channel(feed), names, () => sleep(THROUGH_CHANGE_MS));
    for (const { name, error, before, after } of watched) {
      await report.case(`${name} ${CHANGES}`, () => {
        if (error) throw error;
        const figures = { ...summary(before, after), pictures: after.pictures.join('>') };
        const faults = resumedFaults(before, after, { stallMsMax: CHANGE_STALL_MS_MAX });
        if (after.pictures.join() !== PICTURES.join()) faults.push(`showed pictures of ${after.pictures.join(', ')}`);
        demand(faults, figures);
        return figures;
      });
    }
  } finally {
    await venue.stop();
  }
}
