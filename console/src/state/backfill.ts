// Fills the board's sparklines with what the node remembers, a few requests at a time.

import { history } from '../api/client';
import type { Feed } from '../api/types';
import { backfill } from './store';

const AT_ONCE = 2;
/** Beyond this many Feeds the sparklines grow by themselves. */
const FEEDS_MAX = 120;

const asked = new Set<string>();

export async function backfillAll(feeds: Feed[]): Promise<void> {
  const waiting = feeds.filter((feed) => feed.state === 'live' && !asked.has(feed.id)).slice(0, FEEDS_MAX - asked.size);
  for (const feed of waiting) asked.add(feed.id);
  const worker = async () => {
    for (let feed = waiting.shift(); feed; feed = waiting.shift()) {
      const told = await history(feed.id, AbortSignal.timeout(10_000)).catch(() => null);
      if (told) backfill(feed.id, told.samples.map((sample) => sample.bit_rate));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
