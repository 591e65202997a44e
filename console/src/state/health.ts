// What is wrong with a Feed, if anything, and how soon an operator should look.

import type { Feed } from '../api/types';

/** 3: pictures are missing; 2: they may suffer; 1: worth a look when there is time; 0: all is well. */
export type Severity = 0 | 1 | 2 | 3;

export interface Health {
  severity: Severity;
  /** In a few words; empty where all is well. */
  text: string;
}

/** Of a feed that is only expected. */
export const NOT_SEEN = 'Not seen yet';

/** Loss that SRT mends at a price, and loss that a picture is likely to show. A fraction. */
const LOSS_NOTED = 0.005;
const LOSS_HIGH = 0.03;
/** An error speaks of the present for this long. */
const ERROR_MS = 5 * 60_000;

export function health(feed: Feed, now: number): Health {
  if (feed.state === 'waiting') return { severity: 3, text: 'The venue is gone' };
  if (feed.state === 'closed') return { severity: 3, text: 'The venue did not come back' };
  if (feed.state === 'expected') {
    return recent(feed, now) ? { severity: 2, text: 'Recent error' } : { severity: 1, text: NOT_SEEN };
  }
  const loss = feed.publisher?.loss ?? 0;
  if (loss >= LOSS_HIGH) return { severity: 3, text: 'High loss' };
  if (!feed.bit_rate) return { severity: 2, text: 'Nothing arrives' };
  if (loss >= LOSS_NOTED) return { severity: 2, text: 'Loss' };
  // The feed itself is well: it may be a broadcaster's wrong passphrase, over and over.
  if (recent(feed, now)) return { severity: 1, text: 'Recent error' };
  return { severity: 0, text: '' };
}

export function recent(feed: Feed, now: number): boolean {
  return feed.last_error !== null && now - Date.parse(feed.last_error.at) < ERROR_MS;
}

export function lossSeverity(loss: number | null | undefined): Severity {
  if (!loss || loss < LOSS_NOTED) return 0;
  return loss < LOSS_HIGH ? 2 : 3;
}
