// A state is told three times: by its colour, by its shape and by its word.

import type { ChannelState, FeedState, Level } from '../api/types';
import type { Severity } from '../state/health';

export type Tone = 'ok' | 'warn' | 'bad' | 'idle';

interface Look {
  tone: Tone;
  word: string;
}

export const FEED_LOOKS: Record<FeedState, Look> = {
  live: { tone: 'ok', word: 'Live' },
  waiting: { tone: 'warn', word: 'Waiting' },
  closed: { tone: 'bad', word: 'Closed' },
  expected: { tone: 'idle', word: 'Expected' },
};

export const CHANNEL_LOOKS: Record<ChannelState, Look> = {
  on_air: { tone: 'ok', word: 'On air' },
  silent: { tone: 'warn', word: 'Silent' },
  off_air: { tone: 'idle', word: 'Off air' },
};

export const LEVEL_LOOKS: Record<Level, Look> = {
  info: { tone: 'idle', word: 'Info' },
  warn: { tone: 'warn', word: 'Warning' },
  error: { tone: 'bad', word: 'Error' },
};

/** A disc: well. A triangle: look. A diamond: wrong. A ring: not yet. */
export function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class={`mark tone-${tone}`} width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      {tone === 'ok' && <circle cx="6" cy="6" r="4.500" fill="currentColor" />}
      {tone === 'warn' && <path d="M6 .8 11.600 11H.4z" fill="currentColor" />}
      {tone === 'bad' && <path d="M6 0l6 6-6 6-6-6z" fill="currentColor" />}
      {tone === 'idle' && <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.750" />}
    </svg>
  );
}

export function State({ look }: { look: Look }) {
  return (
    <span class={`state tone-${look.tone}`}>
      <Mark tone={look.tone} />
      <span>{look.word}</span>
    </span>
  );
}

export function severityTone(severity: Severity): Tone {
  return (['ok', 'idle', 'warn', 'bad'] as const)[severity];
}
