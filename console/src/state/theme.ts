// Dark or light: the system's choice, until the operator makes one.

import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'dark' | 'light';

const KEY = 'flambeau.theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const stored = localStorage.getItem(KEY);

export const theme = signal<Theme>(THEMES.find((known) => known === stored) ?? 'system');
/** Changes whenever colours may have: what draws on a canvas looks them up again. */
export const colours = signal(0);

effect(() => {
  if (theme.value === 'system') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
  document.documentElement.dataset.theme = theme.value;
  colours.value = colours.peek() + 1;
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  colours.value += 1;
});

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system';
}

/** The computed colour of a custom property, for a canvas. */
export function colour(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const computed = getComputedStyle(probe).color;
  probe.remove();
  return computed;
}
