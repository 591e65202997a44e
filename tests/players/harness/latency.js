// What a series of latencies comes to, and what it must be.

const DRIFT_MS_MAX = 200;
const READS_PER_SECOND_MIN = 5;
const UNREADABLE_SHARE_MAX = 0.01;
const DROPPED_SHARE_MAX = 0.02;

export function median(values) {
  return percentile(values, 0.5);
}

/** The value that `share` of `values` do not exceed. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/** By how much the latency grew: the median of the last fifth less that of the first, in milliseconds. */
export function driftOf(series) {
  const fifth = Math.floor(series.length / 5);
  const latencies = series.map(([, latency]) => latency);
  return median(latencies.slice(-fifth)) - median(latencies.slice(0, fifth));
}

/** The figures worth a line, of a viewer's `series` and its figures `before` and `after`. */
export function figuresOf({ series, before, after }) {
  const latencies = series.map(([, latency]) => latency);
  return {
    median: `${median(latencies)} ms`,
    p95: `${percentile(latencies, 0.95)} ms`,
    max: `${percentile(latencies, 1)} ms`,
    drift: `${driftOf(series)} ms`,
    stalls: stalls(before, after).length,
    dropped: `${after.dropped - before.dropped} of ${after.frames - before.frames}`,
    reads: series.length,
    start: `${after.firstPictureMs} ms`,
  };
}

/** What is wrong with a viewer that should have been close behind the camera all the time. */
export function glassFaults({ series, unreadable, gaps, before, after }, { latencyMsMax }) {
  const faults = [...after.errors];
  const seconds = (after.at - before.at) / 1000;
  if (series.length < seconds * READS_PER_SECOND_MIN) faults.push(`only ${series.length} clocks read in ${seconds} s`);
  if (!series.length) return faults;
  const latency = median(series.map(([, ms]) => ms));
  if (!(latency <= latencyMsMax)) faults.push(`is ${latency} ms behind the camera, ${latencyMsMax} ms are allowed`);
  const drift = driftOf(series);
  if (!(Math.abs(drift) < DRIFT_MS_MAX)) faults.push(`drifted by ${drift} ms`);
  if (unreadable > (series.length + unreadable) * UNREADABLE_SHARE_MAX) faults.push(`${unreadable} clocks unreadable`);
  faults.push(...stalls(before, after));
  for (const { at, ms } of gaps) faults.push(`no new picture for ${ms} ms until ${new Date(at).toISOString()}`);
  const frames = after.frames - before.frames;
  const dropped = after.dropped - before.dropped;
  if (dropped > frames * DROPPED_SHARE_MAX) faults.push(`dropped ${dropped} of ${frames} frames`);
  return faults;
}

function stalls(before, after) {
  const told = after.waits.slice(before.waits.length).map(({ at }) => `waited for data at ${at} ms`);
  const seen = after.freezes.slice(before.freezes.length).map(({ at, ms }) => `stood for ${ms} ms at ${at} ms`);
  return [...told, ...seen];
}
