// The node itself, asked anew whenever the connection returns: it may be another process by then.

import { effect, signal } from '@preact/signals';
import * as api from '../api/client';
import { connection } from '../api/live';
import type { Node } from '../api/types';
import { addEvents } from './store';

export const node = signal<Node | null>(null);

const EVENTS_AT_FIRST = 500;

export async function loadNode(): Promise<void> {
  const [found, lines] = await Promise.allSettled([api.node(), api.events(EVENTS_AT_FIRST)]);
  if (found.status === 'fulfilled') node.value = found.value;
  if (lines.status === 'fulfilled') addEvents(lines.value);
}

let open = false;
effect(() => {
  const now = connection.value === 'open';
  if (now && !open) void loadNode();
  open = now;
});

/** Where this browser finds the edge: the node names its own loopback where it listens on every address. */
export function edgeBase(base: string, page = location): string {
  const url = new URL(base);
  if (isLocal(url.hostname) && !isLocal(page.hostname)) url.hostname = page.hostname;
  return url.href.replace(/\/$/, '');
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\./.test(host) || host === '0.0.0.0' || host === '[::]';
}
