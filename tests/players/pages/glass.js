// Glass to glass: how long ago what the viewer sees now stood before the camera, by the clock in the picture.

import { CODE_HEIGHT, WIDTH, read } from '/harness/clock.js';

// Of 25 pictures a second about six are read: the reading must not be what costs.
const READ_MS = 150;
// A player that shows no new picture for as long has stalled, whatever it calls that.
const GAP_MS_MAX = 400;

/**
 * Reads the clock in the pictures of `video` from now on. `window.glass()` gives what was read since it was last
 * asked: `series` of `[at, latency, mediaTime]` (milliseconds since 1970, milliseconds, seconds), the pictures
 * that were `unreadable`, and `gaps` between two pictures shown. `window.everyPicture()` reads each one from then on.
 */
export function watchClock(video) {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = CODE_HEIGHT;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let told = { series: [], unreadable: 0, gaps: [] };
  let every = READ_MS;
  let last = null;
  let lastRead = 0;

  const shown = (now, { mediaTime, expectedDisplayTime }) => {
    video.requestVideoFrameCallback(shown);
    if (last !== null && now - last > GAP_MS_MAX) told.gaps.push({ at: Date.now(), ms: Math.round(now - last) });
    last = now;
    if (now - lastRead < every) return;
    lastRead = now;
    // It is seen when the screen shows it, not when the page is told of it.
    const at = Date.now() + Math.max(0, expectedDisplayTime - now);
    context.drawImage(video, 0, 0, WIDTH, CODE_HEIGHT, 0, 0, WIDTH, CODE_HEIGHT);
    const stamp = read(context.getImageData(0, 0, WIDTH, CODE_HEIGHT).data, Math.round(at));
    if (stamp === null) told.unreadable += 1;
    else told.series.push([Math.round(at), Math.round(at - stamp), mediaTime]);
  };
  video.requestVideoFrameCallback(shown);

  window.everyPicture = () => {
    every = 0;
  };
  window.glass = () => {
    const give = told;
    told = { series: [], unreadable: 0, gaps: [] };
    return give;
  };
}
