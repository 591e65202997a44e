// What the board of Feeds shows of a snapshot, and in which order.

import type { Channel, Feed, FeedState } from '../api/types';
import { health, NOT_SEEN, type Health } from './health';

export type Column = 'state' | 'feed' | 'video' | 'rate' | 'loss' | 'rtt' | 'pulls' | 'publisher' | 'error';
export type Filter = 'all' | 'problems' | FeedState;

export interface Row {
  feed: Feed;
  health: Health;
  codec: string;
  /** `1280×720` */
  size: string;
  /** Pictures a second, `@ 50`. */
  rate: string;
}

export interface Order {
  column: Column;
  descending: boolean;
  problemsFirst: boolean;
}

const STATE_ORDER: FeedState[] = ['live', 'waiting', 'expected', 'closed'];

export function rows(feeds: Feed[], channels: Channel[], now: number): Row[] {
  const byFeed = new Map(channels.map((channel) => [channel.feed, channel]));
  return feeds.map((feed) => ({
    feed,
    health: health(feed, now),
    codec: codecs(feed),
    ...picture(byFeed.get(feed.id)),
  }));
}

/** The first stream of pictures, and how many other streams there are. */
function codecs(feed: Feed): string {
  const streams = feed.program?.streams ?? [];
  const names = [...new Set(streams.filter((stream) => stream.packaged).map((stream) => stream.label))];
  return names.slice(0, 2).join(' · ') || (streams[0]?.label ?? '');
}

/** Of the largest Rendition: `1280×720` and `@ 50`. */
export function picture(channel: Channel | undefined): { size: string; rate: string } {
  const pictures = (channel?.renditions ?? []).filter((rendition) => rendition.width && rendition.height);
  const largest = pictures.sort((a, b) => (b.width ?? 0) - (a.width ?? 0))[0];
  if (!largest) return { size: '', rate: '' };
  const rate = largest.frame_rate ? `@ ${Number(largest.frame_rate.toFixed(2))}` : '';
  return { size: `${largest.width}×${largest.height}`, rate };
}

export function matches(row: Row, filter: Filter, text: string): boolean {
  if (filter === 'problems' ? row.health.severity < 2 : filter !== 'all' && row.feed.state !== filter) return false;
  const { feed } = row;
  const haystack = [
    ...[feed.id, feed.label, feed.state, row.codec, row.size, row.health.text],
    ...[feed.publisher?.user, feed.publisher?.peer, feed.last_error?.text],
  ];
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const whole = haystack.filter(Boolean).join('\n').toLowerCase();
  return words.every((word) => whole.includes(word));
}

export function sorted(list: Row[], order: Order): Row[] {
  const sign = order.descending ? -1 : 1;
  return [...list].sort((a, b) => {
    if (order.problemsFirst && urgency(a) !== urgency(b)) return urgency(b) - urgency(a);
    const difference = compare(key(a, order.column), key(b, order.column));
    // Of two alike the name decides, so that rows do not dance.
    return difference === 0 ? compare(a.feed.id, b.feed.id) : sign * difference;
  });
}

/** What was not seen yet is no problem that goes first. */
function urgency(row: Row): number {
  return row.health.text === NOT_SEEN ? 0 : row.health.severity;
}

function key({ feed, codec, size }: Row, column: Column): string | number {
  switch (column) {
    case 'state':
      return STATE_ORDER.indexOf(feed.state);
    case 'feed':
      return (feed.label ?? feed.id).toLowerCase();
    case 'video':
      return `${codec} ${size}`;
    case 'rate':
      // In steps of a tenth, so that rows of nearly the same rate keep their places.
      return feed.bit_rate ? Math.round(Math.log(feed.bit_rate) * 10) : -1;
    case 'loss':
      return Math.round((feed.publisher?.loss ?? -1) * 1000);
    case 'rtt':
      return Math.round(feed.publisher?.rtt_ms ?? -1);
    case 'pulls':
      return feed.pulls;
    case 'publisher':
      return feed.publisher?.user ?? feed.publisher?.peer ?? '\uffff';
    case 'error':
      return feed.last_error?.at ?? '';
  }
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'string' && typeof b === 'string') return a.localeCompare(b, 'en', { numeric: true });
  return Number(a) - Number(b);
}
