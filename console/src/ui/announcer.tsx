// What a screen reader says of its own accord: changes of state, and no number.

import { effect, signal } from '@preact/signals';
import { connection } from '../api/live';
import type { Snapshot } from '../api/types';
import { snapshot } from '../state/store';
import { CHANNEL_LOOKS, FEED_LOOKS } from './state';

const said = signal('');
const AT_ONCE_MAX = 3;

export function announce(text: string): void {
  // The same words twice are two pieces of news.
  said.value = said.peek() === text ? `${text}\u00a0` : text;
}

export function Announcer() {
  return (
    <div class="hidden" role="status" aria-live="polite">
      {said}
    </div>
  );
}

let before: Snapshot | null = null;

effect(() => {
  const next = snapshot.value;
  if (next && before) {
    const news = changes(before, next);
    if (news.length > AT_ONCE_MAX) news.splice(AT_ONCE_MAX, Infinity, `and ${news.length - AT_ONCE_MAX} more changes`);
    if (news.length > 0) announce(`${news.join('; ')}.`);
  }
  before = next;
});

let reached = false;
effect(() => {
  if (connection.value === 'lost' && reached) announce('The connection to the node is lost.');
  if (connection.value === 'open' && !reached) announce('Connected to the node.');
  reached = connection.value === 'open';
});

function changes(old: Snapshot, next: Snapshot): string[] {
  const feeds = new Map(old.feeds.map((feed) => [feed.id, feed.state]));
  const channels = new Map(old.channels.map((channel) => [channel.id, channel.state]));
  return [
    ...next.feeds
      .filter((feed) => feeds.get(feed.id) !== feed.state)
      .map((feed) => `Feed ${feed.label ?? feed.id}: ${FEED_LOOKS[feed.state].word}`),
    ...next.channels
      .filter((channel) => channels.get(channel.id) !== channel.state)
      .map((channel) => `Channel ${channel.label ?? channel.id}: ${CHANNEL_LOOKS[channel.state].word}`),
  ];
}
