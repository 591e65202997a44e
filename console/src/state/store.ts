// What the node told last, and a short memory of it.

import { signal } from '@preact/signals';
import type { Feed, LogEvent, Snapshot } from '../api/types';

/** The newest snapshot. */
export const snapshot = signal<Snapshot | null>(null);
/** The newest log lines, oldest first. */
export const events = signal<LogEvent[]>([]);
/** The newest lines of `error` that the operator has not looked at. */
export const unseenErrors = signal(0);

const EVENTS_MAX = 2000;
/** Points of a sparkline: two minutes. */
export const TREND_POINTS = 120;

const trends = new Map<string, Trend>();

/** A Feed's bit rate over the last two minutes. */
export interface Trend {
  /** Bits a second, oldest first; null where the Feed was not live. */
  rates: (number | null)[];
}

export function trend(feed: string): Trend {
  let found = trends.get(feed);
  if (!found) {
    found = { rates: [] };
    trends.set(feed, found);
  }
  return found;
}

/** Puts what the node remembers in front of what was seen since. */
export function backfill(feed: string, earlier: (number | null)[]): void {
  const found = trend(feed);
  const room = TREND_POINTS - found.rates.length;
  if (room > 0) found.rates = [...earlier.slice(-TREND_POINTS).slice(-room), ...found.rates];
}

export function takeSnapshot(next: Snapshot): void {
  const known = new Set<string>();
  for (const feed of next.feeds) {
    known.add(feed.id);
    remember(feed);
  }
  for (const id of trends.keys()) if (!known.has(id)) trends.delete(id);
  snapshot.value = next;
}

function remember(feed: Feed): void {
  const { rates } = trend(feed.id);
  rates.push(feed.state === 'live' ? feed.bit_rate : null);
  if (rates.length > TREND_POINTS) rates.splice(0, rates.length - TREND_POINTS);
}

/** Adds log lines, each once, whichever way it came. */
export function addEvents(more: LogEvent[]): void {
  const known = events.peek();
  const last = known.at(-1)?.id ?? -1;
  // Ids grow, until the node starts anew.
  const restarted = more.length > 0 && more.every((event) => event.id <= last) && more.some((event) => newer(event, known.at(-1)));
  const fresh = restarted ? more : more.filter((event) => event.id > last);
  if (fresh.length === 0) return;
  unseenErrors.value += fresh.filter((event) => event.level === 'error').length;
  events.value = [...known, ...fresh].slice(-EVENTS_MAX);
}

function newer(event: LogEvent, than: LogEvent | undefined): boolean {
  return than !== undefined && event.at > than.at;
}
