// How viewers are watched: what their figures were before, after, and in between.

import { sleep, until } from './process.js';

const SETTLE_MS = 2_000;
const LAST_MS = 8_000;

/** The figures of a viewer that has played for `playMs`. */
export async function settled(viewer, playMs = SETTLE_MS) {
  await until(`${viewer.name} plays`, async () => (await viewer.figures()).startMs !== null).catch(async (error) => {
    const { errors } = await viewer.figures();
    throw new Error([error.message, ...errors].join('\n'));
  });
  await sleep(playMs);
  return viewer.figures();
}

/**
 * Opens `names` on a channel, lets `event` happen to all of them at once, and gives for each the figures
 * `before` it, `near` the end (some seconds earlier), and `after`; or the `error` that ended it.
 */
export async function watchThrough(browser, channel, names, event) {
  if (!names.length) return [];
  const watched = await Promise.all(
    names.map(async (name) => {
      const viewer = await browser.play(name, channel);
      return settled(viewer).then(
        (before) => ({ name, viewer, before }),
        (error) => ({ name, viewer, error }),
      );
    }),
  );
  const playing = watched.filter(({ error }) => !error);
  const note = (moment) => Promise.all(playing.map(async (one) => (one[moment] = await one.viewer.figures())));
  try {
    await event(playing.map(({ viewer }) => viewer));
    await note('near');
    await sleep(LAST_MS);
    await note('after');
  } catch (error) {
    for (const one of playing) one.error ??= error;
  }
  await Promise.all(watched.map(({ viewer }) => viewer.close()));
  return watched;
}
