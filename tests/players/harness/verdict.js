// What a viewer's figures must be.

const START_MS_MAX = 8_000;
const LATENCY_MS_MAX = 12_000;
const PACE_TOLERANCE = 0.05;
const DROPPED_SHARE_MAX = 0.05;
// Players tell of a stall, of a gap and of a Playlist that is not answered while nothing comes, in their own words too.
// Where one is expected, so are those.
const STALL_NOTICE =
  /^error (mediaError\/(bufferStalledError|bufferNudgeOnStall|bufferSeekOverHole|fragGap)|networkError\/(level|audioTrack)LoadTimeOut)/;

// hls.js 1.7 gives up what it loads as it takes up another language, and tells of that as of an error that is not fatal
// (its handleFragLoadError).
const GIVEN_UP = /^error networkError\/aborted: Aborted$/;

/** ISO 639-1 or 639-2, as ISO 639-1: players differ in which they tell. */
export function shortLanguage(language) {
  return { eng: 'en', fra: 'fr', fre: 'fr' }[language] ?? language;
}

/** The languages told, each once, in order. */
export function languagesOf(figures) {
  return [...new Set(figures.languages.map(shortLanguage))].sort().join('+');
}

/**
 * What is wrong with a viewer that should have played without a break between two readings of its figures.
 */
export function steadyFaults(before, after, { framesPerSecond, latencyMsMax = LATENCY_MS_MAX }) {
  const faults = [...common(after, latencyMsMax), ...after.errors];
  const wall = (after.at - before.at) / 1000;
  const pace = (after.time - before.time) / wall;
  if (!(Math.abs(pace - 1) <= PACE_TOLERANCE)) faults.push(`played ${pace.toFixed(3)} s a second`);
  for (const { at } of after.waits) faults.push(`waited for data ${at} ms after the page was opened`);
  for (const { at, ms } of after.freezes) faults.push(`stood for ${ms} ms, ${at} ms after the page was opened`);
  const frames = after.frames - before.frames;
  if (frames < wall * framesPerSecond * 0.95) faults.push(`showed ${frames} frames in ${wall.toFixed(1)} s`);
  const dropped = after.dropped - before.dropped;
  if (dropped > frames * DROPPED_SHARE_MAX) faults.push(`dropped ${dropped} of ${frames} frames`);
  return faults;
}

/**
 * What is wrong with a viewer that may have stood once for `stallMsMax`, but must have gone on by itself
 * and play now. `switched`: another language was chosen meanwhile.
 */
export function resumedFaults(before, after, { stallMsMax, switched = false }) {
  const faults = common(after);
  const expected = (error) => STALL_NOTICE.test(error) || (switched && GIVEN_UP.test(error));
  faults.push(...after.errors.filter((error) => !expected(error)));
  const stood = standstillMs(before, after);
  if (stood > stallMsMax) faults.push(`stood for ${stood} ms in all`);
  if (after.frozenMs > 1000) faults.push(`stands still since ${after.frozenMs} ms`);
  if (after.time <= before.time) faults.push('went no further');
  return faults;
}

/** What is wrong with a viewer that lost its venue for a while and has it back: it must play now, without errors. */
export function resumedPlayFaults(before, after) {
  const faults = after.errors.filter((error) => !STALL_NOTICE.test(error));
  if (after.frozenMs > 1000) faults.push(`stands still since ${after.frozenMs} ms`);
  if (after.time <= before.time) faults.push('went no further');
  return faults;
}

/** How long the picture stood between the two readings. */
export function standstillMs(before, after) {
  return after.freezes.slice(before.freezes.length).reduce((sum, { ms }) => sum + ms, 0);
}

function common(figures, latencyMsMax = LATENCY_MS_MAX) {
  const faults = [];
  if (figures.startMs === null) return ['never started'];
  if (figures.startMs > START_MS_MAX) faults.push(`took ${figures.startMs} ms to start`);
  if (!(figures.latencyMs < latencyMsMax)) faults.push(`is ${figures.latencyMs} ms behind`);
  if (languagesOf(figures) !== 'en+fr') faults.push(`lists the languages ${languagesOf(figures) || 'none'}`);
  return faults;
}

/** The figures worth a line. */
export function summary(before, after) {
  return {
    start: `${after.startMs} ms`,
    latency: `${after.latencyMs} ms`,
    buffered: `${after.bufferedMs} ms`,
    frames: after.frames - before.frames,
    dropped: after.dropped - before.dropped,
    stood: `${standstillMs(before, after)} ms`,
    languages: languagesOf(after),
  };
}
