// Requests to the admin API, with the operator's token.

import { signal } from '@preact/signals';
import type * as api from './types';

const TOKEN_KEY = 'flambeau.token';

/** The operator's token. It lives as long as the browser's tab. */
export const token = signal(sessionStorage.getItem(TOKEN_KEY) ?? '');
/** Why the operator is asked to sign in; null: the node does not ask. */
export const signInAsked = signal<string | null>(null);

export function signIn(value: string): void {
  sessionStorage.setItem(TOKEN_KEY, value);
  token.value = value;
  signInAsked.value = null;
}

export function signOut(): void {
  sessionStorage.removeItem(TOKEN_KEY);
  token.value = '';
  signInAsked.value = 'You are signed out.';
}

/** An answer that is not a success, as the node explains it. */
export class Refused extends Error {
  constructor(readonly problem: api.Problem) {
    super(problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);
  }

  get status(): number {
    return this.problem.status;
  }
}

/** Fetches from `api/v1/…`; a failure to answer rejects, and so does an answer that is no success. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token.value) headers.set('authorization', `Bearer ${token.value}`);
  const sent = token.value;
  const response = await fetch(`api/v1/${path}`, { ...init, headers, cache: 'no-store' });
  if (response.ok) return response;
  const refused = new Refused(await problemOf(response));
  // An answer to a token that was replaced meanwhile says nothing of the present one.
  if (response.status === 401 && sent === token.value) {
    signInAsked.value = sent ? 'The node does not know this token.' : '';
  }
  throw refused;
}

async function problemOf(response: Response): Promise<api.Problem> {
  const fallback = { title: response.statusText || 'The node refused', status: response.status };
  const text = await response.text().catch(() => '');
  try {
    return { ...fallback, ...(JSON.parse(text) as Partial<api.Problem>) };
  } catch {
    return text ? { ...fallback, detail: text.slice(0, 500) } : fallback;
  }
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await (await request(path, init)).json()) as T;
}

function send<T>(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  return json<T>(path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

const part = encodeURIComponent;

export const node = () => json<api.Node>('node');
export const history = (feed: string, signal: AbortSignal) =>
  json<api.History>(`feeds/${part(feed)}/history`, { signal });
export const channel = (id: string, signal: AbortSignal) => json<api.Channel>(`channels/${part(id)}`, { signal });
export const endSession = (id: string) => request(`sessions/${part(id)}`, { method: 'DELETE' });
export const events = async (limit: number) =>
  (await json<{ events: api.LogEvent[] }>(`events?limit=${limit}`)).events;

export const config = () => json<api.ConfigText>('config');
export const check = (text: string) => send<api.Check>('POST', 'config/check', { text });
export const apply = (text: string, comment: string, force: boolean, revision: number | null) =>
  send<api.Applied>('PUT', 'config', { text, comment, force }, revision === null ? {} : { 'if-match': `"${revision}"` });
export const reload = () => send<api.Applied>('POST', 'config/reload', {});
export const revisions = async () => (await json<{ revisions: api.Revision[] }>('config/revisions')).revisions;
/** From `against` to `revision`, as a unified diff. */
export const diff = async (revision: number, against: number) =>
  (await json<{ diff: string }>(`config/revisions/${revision}/diff?with=${against}`)).diff;
export const restore = (revision: number, force: boolean) =>
  send<api.Applied>('POST', `config/revisions/${revision}/restore`, { force });
