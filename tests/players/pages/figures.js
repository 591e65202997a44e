// What a viewer would notice, measured from outside the player: from the <video> element alone.

import { watchClock } from './glass.js';
import { lowLatency } from './settings.js';

const SAMPLE_MS = 100;
// A picture that stands for longer than this is a stall, whatever the player calls it.
const FREEZE_MS = 400;

/**
 * Measures `video` from now on, which is when the player is told what to load. `player` answers for what only the
 * player knows: `languages()`, `wallClock()` (milliseconds since 1970 of the picture shown), `select(language)`.
 */
export function measure(video, player) {
  const opened = performance.now();
  const figures = { startMs: null, firstPictureMs: null, waits: [], freezes: [], errors: [], pictures: [], sampleGapMs: 0 };
  let last = { at: opened, time: 0, moved: opened };
  /** It has been seen to play on from where it started. */
  let moves = false;

  const since = (at) => Math.round(at - opened);
  video.addEventListener('playing', () => {
    if (figures.startMs !== null) return;
    // What went before is the start's own time, not a stall.
    last.moved = performance.now();
    figures.startMs = since(last.moved);
  });
  video.requestVideoFrameCallback(() => {
    figures.firstPictureMs = since(performance.now());
  });
  video.addEventListener('waiting', () => {
    if (figures.startMs === null) return;
    // It told of playing, and seeks before anything has moved: the start goes on.
    if (video.seeking && !moves) figures.startMs = null;
    else figures.waits.push({ at: since(performance.now()), time: video.currentTime });
  });
  video.addEventListener('resize', () => figures.pictures.push(`${video.videoWidth}x${video.videoHeight}`));
  video.addEventListener('error', () => figures.errors.push(`media element: ${video.error?.message}`));
  addEventListener('error', (event) => figures.errors.push(`page: ${event.message}`));
  addEventListener('unhandledrejection', (event) => figures.errors.push(`page: ${event.reason}`));

  setInterval(() => {
    const now = performance.now();
    figures.sampleGapMs = Math.max(figures.sampleGapMs, Math.round(now - last.at));
    const moved = video.currentTime !== last.time;
    moves ||= moved && figures.startMs !== null && last.at > opened + figures.startMs;
    if (moved && figures.startMs !== null && now - last.moved >= FREEZE_MS) {
      figures.freezes.push({ at: since(last.moved), ms: Math.round(now - last.moved) });
    }
    last = { at: now, time: video.currentTime, moved: moved ? now : last.moved };
  }, SAMPLE_MS);

  window.select = (language) => player.select(language);
  window.figures = () => {
    const quality = video.getVideoPlaybackQuality();
    const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : video.currentTime;
    const wallClock = player.wallClock();
    return {
      ...figures,
      at: since(performance.now()),
      time: video.currentTime,
      frozenMs: Math.round(performance.now() - last.moved),
      bufferedMs: Math.round((end - video.currentTime) * 1000),
      latencyMs: wallClock ? Math.round(Date.now() - wallClock) : null,
      frames: quality.totalVideoFrames,
      dropped: quality.droppedVideoFrames,
      languages: player.languages(),
    };
  };
  if (lowLatency) watchClock(video);
  return figures;
}

/** What the page's address asks to play. */
export const source = new URLSearchParams(location.search).get('source');

/** Where the page's address asks the player to begin: seconds since 1970, or null. */
export const begin = Number(new URLSearchParams(location.search).get('begin')) || null;
