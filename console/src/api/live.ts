// The live stream: kept open, opened again with growing patience, and its age known.

import { batch, signal } from '@preact/signals';
import { addEvents, takeSnapshot } from '../state/store';
import { Refused, request, signInAsked, token } from './client';
import { read, type Message } from './sse';
import type { LogEvent, Snapshot } from './types';

export type Connection = 'connecting' | 'open' | 'lost';

/** Whether the node speaks to us. */
export const connection = signal<Connection>('connecting');
/** What the last attempt failed with. */
export const fault = signal('');
/** When the newest snapshot came, by this browser's monotonic clock; 0: none yet. */
export const heardAt = signal(0);
/** When the next attempt begins, by the same clock; 0: none is due. */
export const retryAt = signal(0);

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15_000];
/** A stream that is open and says nothing for this long is taken for dead. */
const SILENCE_MS = 6000;

let lastEventId = '';
let hurry: () => void = () => {};

/** Follows the node until the page goes. */
export async function follow(): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    if (signInAsked.value !== null) await signedIn();
    const opened = await session().catch((error: unknown) => {
      fault.value = describe(error);
      return false;
    });
    if (signInAsked.value !== null) {
      attempt = -1;
      continue;
    }
    if (opened) attempt = 0;
    connection.value = 'lost';
    await patience(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] ?? 1000);
  }
}

/** Tries again at once. */
export function retryNow(): void {
  hurry();
}

/** One stream from its request to its end; whether it gave anything. */
async function session(): Promise<boolean> {
  const abort = new AbortController();
  let heard = performance.now();
  const watchdog = setInterval(() => {
    if (performance.now() - heard > SILENCE_MS) abort.abort(new Error('the node went silent'));
  }, 1000);
  let opened = false;
  const unsubscribe = watchToken(() => abort.abort(new Error('the token changed')));
  try {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (lastEventId) headers['last-event-id'] = lastEventId;
    const response = await request('stream', { headers, signal: abort.signal });
    await read(
      response,
      (message) => {
        opened = true;
        take(message);
      },
      () => {
        heard = performance.now();
      },
    );
    fault.value = 'the node ended the stream';
  } catch (error) {
    fault.value = describe(abort.signal.aborted ? abort.signal.reason : error);
  } finally {
    clearInterval(watchdog);
    unsubscribe();
  }
  return opened;
}

function take(message: Message): void {
  if (message.id) lastEventId = message.id;
  if (message.event === 'snapshot') {
    const snapshot = JSON.parse(message.data) as Snapshot;
    batch(() => {
      takeSnapshot(snapshot);
      heardAt.value = performance.now();
      connection.value = 'open';
      retryAt.value = 0;
    });
  } else if (message.event === 'event') {
    addEvents([JSON.parse(message.data) as LogEvent]);
  }
}

function watchToken(changed: () => void): () => void {
  const first = token.peek();
  return token.subscribe((value) => {
    if (value !== first) changed();
  });
}

function signedIn(): Promise<void> {
  return new Promise<void>((resolve) => {
    const unsubscribe = signInAsked.subscribe((asked) => {
      if (asked !== null) return;
      queueMicrotask(() => unsubscribe());
      resolve();
    });
  });
}

function patience(ms: number): Promise<void> {
  // Spread, so that a node that comes back is not asked by all at once.
  const wait = ms * (0.75 + Math.random() / 2);
  retryAt.value = performance.now() + wait;
  return new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, wait);
    hurry = () => {
      clearTimeout(timer);
      resolve();
    };
  }).then(() => {
    retryAt.value = 0;
  });
}

function describe(error: unknown): string {
  if (error instanceof Refused) return error.message;
  if (error instanceof TypeError) return 'the node cannot be reached';
  return error instanceof Error ? error.message : String(error);
}
