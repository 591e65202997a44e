// Parts by Segment, and how punctual each is.

import type { Part } from '../api/types';

/** A Segment as far as it is made, oldest Part first. */
export interface Segment {
  sequence: number;
  parts: TimedPart[];
}

export interface TimedPart extends Part {
  /** Milliseconds that it came later than Parts usually do; null where nothing tells. */
  late_ms: number | null;
}

const PARTS_KEPT = 160;

/** What was known and what is new, of the leading Rendition of now, in order. */
export function merge(known: Part[], more: Part[]): Part[] {
  const leading = more.at(-1)?.rendition ?? known.at(-1)?.rendition;
  const byKey = new Map<string, Part>();
  for (const part of [...known, ...more]) {
    if (part.rendition === leading) byKey.set(`${part.sequence}.${part.part}`, part);
  }
  const all = [...byKey.values()].sort((a, b) => a.sequence - b.sequence || a.part - b.part);
  return all.slice(-PARTS_KEPT);
}

/**
 * Parts by Segment, each with its lateness. A source runs at its own pace: the sum of the durations before a Part says
 * when it was due, and the median of an unbroken run sets the zero.
 */
export function segments(parts: Part[]): Segment[] {
  const made: Segment[] = [];
  let run: { part: TimedPart; delay: number }[] = [];
  let due = 0;
  const settle = () => {
    const delays = run.map(({ delay }) => delay).sort((a, b) => a - b);
    const usual = delays[Math.floor((delays.length - 1) / 2)] ?? 0;
    for (const { part, delay } of run) part.late_ms = run.length > 2 ? Math.max(0, Math.round(delay - usual)) : null;
    run = [];
    due = 0;
  };
  let before: Part | undefined;
  for (const part of parts) {
    if (before && !follows(before, part)) settle();
    due += part.duration_ms;
    const timed: TimedPart = { ...part, late_ms: null };
    run.push({ part: timed, delay: Date.parse(part.at) - due });
    const segment = made.at(-1);
    if (segment?.sequence === part.sequence) segment.parts.push(timed);
    else made.push({ sequence: part.sequence, parts: [timed] });
    before = part;
  }
  settle();
  return made;
}

/** Whether nothing lies between: a gap of the source's is no lateness. */
function follows(before: Part, part: Part): boolean {
  const silent = Date.parse(part.at) - Date.parse(before.at) > 4 * Math.max(part.duration_ms, 500);
  const next = part.sequence === before.sequence ? part.part === before.part + 1 : part.sequence === before.sequence + 1 && part.part === 0;
  return next && !silent;
}
