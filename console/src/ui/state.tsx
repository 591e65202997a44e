// A state is told three times: by its colour, by its shape and by its word.

import type { ChannelState, FeedState, Level } from '../api/types';
import type { Severity } from '../state/health';

export type Tone = 'ok' | 'warn' | 'bad' | 'idle';

type Shape = 'disc' | 'triangle' | 'diamond' | 'square' | 'ring';

interface Look {
  tone: Tone;
  shape: Shape;
  word: string;
}

export const FEED_LOOKS: Record<FeedState, Look> = {
  live: { tone: 'ok', shape: 'disc', word: 'Live' },
  waiting: { tone: 'bad', shape: 'triangle', word: 'Waiting' },
  closed: { tone: 'idle', shape: 'square', word: 'Closed' },
  expected: { tone: 'idle', shape: 'ring', word: 'Expected' },
};

export const CHANNEL_LOOKS: Record<ChannelState, Look> = {
  on_air: { tone: 'ok', shape: 'disc', word: 'On air' },
  silent: { tone: 'bad', shape: 'triangle', word: 'Silent' },
  off_air: { tone: 'idle', shape: 'ring', word: 'Off air' },
};

export const LEVEL_LOOKS: Record<Level, Look> = {
  info: { tone: 'idle', shape: 'ring', word: 'Info' },
  warn: { tone: 'warn', shape: 'triangle', word: 'Warning' },
  error: { tone: 'bad', shape: 'diamond', word: 'Error' },
};

/** Without a shape of its own a mark has that of its tone. */
const OF_TONE: Record<Tone, Shape> = { ok: 'disc', warn: 'triangle', bad: 'diamond', idle: 'ring' };

export function Mark({ tone, shape = OF_TONE[tone] }: { tone: Tone; shape?: Shape | undefined }) {
  return (
    <svg class={`mark tone-${tone}`} width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      {shape === 'disc' && <circle cx="6" cy="6" r="4.500" fill="currentColor" />}
      {shape === 'triangle' && <path d="M6 .8 11.600 11H.4z" fill="currentColor" />}
      {shape === 'diamond' && <path d="M6 0l6 6-6 6-6-6z" fill="currentColor" />}
      {shape === 'square' && <path d="M2 2h8v8H2z" fill="currentColor" />}
      {shape === 'ring' && <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.750" />}
    </svg>
  );
}

export function State({ look }: { look: Look }) {
  return (
    <span class={`state tone-${look.tone}`}>
      <Mark tone={look.tone} shape={look.shape} />
      <span>{look.word}</span>
    </span>
  );
}

export function severityTone(severity: Severity): Tone {
  return (['ok', 'idle', 'warn', 'bad'] as const)[severity];
}
