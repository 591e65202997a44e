// Where the operator is, kept in the address's fragment: no path of the node's is touched.

import { signal } from '@preact/signals';

export type View = 'feeds' | 'channels' | 'sessions' | 'events' | 'config';

export interface Route {
  view: View;
  /** A Feed's or a Channel's name. */
  id: string | null;
  /** What a view is asked to show first. */
  query: URLSearchParams;
}

const VIEWS: readonly View[] = ['feeds', 'channels', 'sessions', 'events', 'config'];

export const route = signal(parse(location.hash));

addEventListener('hashchange', () => {
  route.value = parse(location.hash);
});

export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [name, id] = path.split('/', 2);
  const view = VIEWS.find((known) => known === name) ?? 'feeds';
  return { view, id: id ? decode(id) : null, query: new URLSearchParams(query) };
}

export function href(view: View, id?: string | null, query: Record<string, string> = {}): string {
  const path = id ? `#/${view}/${encodeURIComponent(id)}` : `#/${view}`;
  const asked = new URLSearchParams(query).toString();
  return asked ? `${path}?${asked}` : path;
}

export function go(view: View, id?: string | null): void {
  location.hash = href(view, id);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
