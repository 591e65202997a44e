// A venue that is gone for five seconds and returns: the viewers at low latency see it again at once.

import { PLAYERS } from '../harness/browser.js';
import { sleep, until } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { resumedPlayFaults } from '../harness/verdict.js';
import { settled } from '../harness/viewing.js';

const RESUMES = 'shows a venue that was gone for 5 s within 2 s of its return';
const AWAY_MS = 5_000;
const RESUME_MS_MAX = 2_000;
const WATCH_MS = 8_000;
const POLL_MS = 10;

/**
 * The encoder is killed and starts again. From the moment at which the server calls the feed live again, which is
 * with the first packets it took, to the first picture taken after that which a viewer sees. No page is loaded again.
 * False: it was not asked for.
 */
export async function venueReturns({ report, browser, server, feed, venue }) {
  const names = Object.keys(PLAYERS).filter((name) => report.wants(`${name} ${RESUMES}`));
  if (!names.length) return false;
  const watched = await Promise.all(names.map((name) => opened(browser, server.channel(feed), name)));
  const playing = watched.filter(({ error }) => !error);
  const before = await session(server, feed);
  await venue.stop('SIGKILL');
  await sleep(AWAY_MS);
  const started = Date.now();
  venue.start();
  // Killed, it did not take its leave: the server may have held its session to be alive all the while.
  const anew = async () => ![null, before].includes(await session(server, feed));
  await until('the feed is live again', anew, 20_000, POLL_MS);
  const live = Date.now();
  await sleep(WATCH_MS);
  for (const one of playing) {
    one.after = await one.viewer.figures();
    one.series = (await one.viewer.glass()).series;
  }
  await Promise.all(watched.map(({ viewer }) => viewer.close()));
  for (const one of watched) {
    await report.case(`${one.name} ${RESUMES}`, () => {
      if (one.error) throw one.error;
      // A picture taken after the encoder was started again.
      const seen = one.series.find(([at, latency]) => at - latency >= started)?.[0];
      const latency = one.series.at(-1)?.[1];
      const figures = { resumed: `${seen - live} ms`, encoder: `${live - started} ms`, latency: `${latency} ms` };
      const faults = resumedPlayFaults(one.before, one.after);
      if (!(seen - live <= RESUME_MS_MAX)) faults.push(`showed the venue again ${seen - live} ms after its return`);
      demand(faults, figures);
      return figures;
    });
  }
  return true;
}

async function opened(browser, channel, name) {
  const viewer = await browser.play(name, channel, 'low-latency');
  try {
    const before = await settled(viewer, 4_000);
    await viewer.everyPicture();
    return { name, viewer, before };
  } catch (error) {
    return { name, viewer, error };
  }
}

/** The session that makes the feed live; null: it is not. */
async function session(server, feed) {
  const { feeds } = await server.api('feeds');
  const { state, publisher } = feeds.find(({ id }) => id === feed) ?? {};
  return state === 'live' ? (publisher?.session ?? null) : null;
}
