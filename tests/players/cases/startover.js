// The past of a Channel that is on air: from a moment half a minute ago on, and a clip of ten seconds.

import { PAIRS } from '../harness/browser.js';
import { sleep, until } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { steadyFaults, summary } from '../harness/verdict.js';
import { settled } from '../harness/viewing.js';

const AGO_MS = 30_000;
const PAST_MS = 40_000;
const PLAY_MS = 8_000;
const CLIP_MS = 10_000;
/** A start lies within a Segment, and a player takes up to this long to show its first picture. */
const SEGMENT_MS = 3_000;

export async function startsOver(context) {
  for (const pair of PAIRS) {
    await Promise.all(pair.map((name) => fromThere(context, name)));
    await Promise.all(pair.map((name) => clip(context, name)));
  }
}

function fromThere({ report, browser, server, feed }, name) {
  return report.case(`${name} starts over from ${AGO_MS / 1000} s ago`, async () => {
    await server.established(feed, PAST_MS / 1000);
    const from = new Date(Date.now() - AGO_MS);
    const past = { query: `?start=${from.toISOString()}`, begin: from / 1000 };
    const viewer = await browser.play(name, server.channel(feed), 'none', past);
    try {
      const before = await settled(viewer, 1_000);
      await sleep(PLAY_MS);
      const after = await viewer.figures();
      const latencyMsMax = AGO_MS + 2 * SEGMENT_MS;
      const faults = steadyFaults(before, after, { framesPerSecond: 25, latencyMsMax });
      if (after.latencyMs < AGO_MS - SEGMENT_MS) faults.push(`plays ${after.latencyMs} ms ago`);
      const figures = summary(before, after);
      demand(faults, figures);
      return figures;
    } finally {
      await viewer.close();
    }
  });
}

function clip({ report, browser, server, feed }, name) {
  return report.case(`${name} plays a clip to its end`, async () => {
    await server.established(feed, PAST_MS / 1000);
    const from = Date.now() - AGO_MS;
    const [start, end] = [from, from + CLIP_MS].map((at) => new Date(at).toISOString());
    const viewer = await browser.play(name, server.channel(feed), 'none', { query: `?start=${start}&end=${end}` });
    try {
      await until('the clip is at its end', () => viewer.page.evaluate(atItsEnd, name === 'Shaka (HLS)'));
      const { errors, frames, time } = await viewer.figures();
      const faults = [...errors];
      // Whole Segments: those that the clip's ends lie in too.
      if (frames < (CLIP_MS / 1000) * 25 || frames > ((CLIP_MS + 2 * SEGMENT_MS) / 1000) * 25) {
        faults.push(`showed ${frames} frames`);
      }
      const figures = { frames, time: time.toFixed(2) };
      demand(faults, figures);
      return figures;
    } finally {
      await viewer.close();
    }
  });
}

/**
 * In the page: the clip has ended; or, for who `waits` there, its last picture is shown. Shaka over HLS places pictures
 * by their decoding time, takes the end of the clip to be later than the sound's, and waits there.
 */
function atItsEnd(waits) {
  const video = document.querySelector('video');
  return video.ended || (waits && video.duration - video.currentTime < 0.25);
}
