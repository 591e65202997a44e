// The configuration as the operator edits it. It outlives the view, so that a look at the board loses nothing.

import { computed, signal } from '@preact/signals';
import * as api from '../api/client';
import type { Check, ConfigProblem, ConfigText, Revision } from '../api/types';

/** What the node runs by. */
export const current = signal<ConfigText | null>(null);
export const draft = signal('');
/** What the node says of the draft; null: it was changed since it was asked. */
export const verdict = signal<Check | null>(null);
export const revisions = signal<Revision[]>([]);
/** Why there is nothing to edit, or what the last request failed with. */
export const failure = signal<unknown>(null);

export const changed = computed(() => current.value !== null && draft.value !== current.value.text);

addEventListener('beforeunload', (event) => {
  if (changed.peek()) event.preventDefault();
});

/** Asks for the present text. A draft that was begun stays. */
export async function load(): Promise<void> {
  try {
    const untouched = !changed.peek();
    const text = await api.config();
    current.value = text;
    if (untouched) {
      draft.value = text.text;
      verdict.value = null;
    }
    revisions.value = await api.revisions();
    failure.value = null;
  } catch (error) {
    failure.value = error;
  }
}

export function edit(text: string): void {
  draft.value = text;
  verdict.value = null;
}

export function discard(): void {
  edit(current.peek()?.text ?? '');
}

/** Asks the node about the draft. */
export async function check(): Promise<Check | null> {
  const asked = draft.peek();
  try {
    const found = await api.check(asked);
    // The operator may have gone on writing.
    if (draft.peek() !== asked) return null;
    verdict.value = found;
    failure.value = null;
    return found;
  } catch (error) {
    failure.value = error;
    return null;
  }
}

/** Whether the node would refuse the draft. */
export function isRefused(found: Check): boolean {
  return found.problems.some(isError);
}

export function isError(problem: ConfigProblem): boolean {
  return problem.severity === 'error';
}
