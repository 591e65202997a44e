// Single-key shortcuts. They can be turned off (WCAG 2.2, 2.1.4), and never act while text is written.

import { effect, signal } from '@preact/signals';
import { go, route, type View } from './route';
import { nextTheme } from './theme';

const KEY = 'flambeau.shortcuts';

export const helpOpen = signal(false);
export const shortcutsOn = signal(localStorage.getItem(KEY) !== 'off');
/** Counts the presses of `p`; the view at hand acts on it. */
export const pressedP = signal(0);

effect(() => {
  if (shortcutsOn.value) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, 'off');
});

export const SHORTCUTS: { keys: string[]; does: string }[] = [
  { keys: ['1', '2', '3', '4', '5'], does: 'Feeds, Channels, Sessions, Events, Configuration' },
  { keys: ['/'], does: 'Filter by text' },
  { keys: ['j', 'k'], does: 'Next and previous row' },
  { keys: ['Enter'], does: 'Open the row at hand' },
  { keys: ['p'], does: 'Feeds: problems first · Events: pause' },
  { keys: ['u'], does: 'Up, from a page to its list' },
  { keys: ['t'], does: 'Colours: the system’s, light, dark' },
  { keys: ['?'], does: 'This list' },
  { keys: ['Esc'], does: 'Close a dialog, clear a filter' },
];

const VIEWS: View[] = ['feeds', 'channels', 'sessions', 'events', 'config'];

export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target as HTMLElement;
    if (event.key === 'Escape' && target.matches('[data-filter]')) return leaveFilter(target as HTMLInputElement);
    if (!shortcutsOn.value || isWriting(target) || document.querySelector('dialog[open]')) return;
    if (act(event.key)) event.preventDefault();
  });
}

function act(key: string): boolean {
  const view = VIEWS[Number(key) - 1];
  if (view) {
    go(view);
    return true;
  }
  switch (key) {
    case '/':
      document.querySelector<HTMLInputElement>('[data-filter]')?.focus();
      return true;
    case 'j':
    case 'k':
      step(key === 'j' ? 1 : -1);
      return true;
    case 'p':
      pressedP.value += 1;
      return true;
    case 'u':
      if (route.value.id) go(route.value.view);
      return true;
    case 't':
      nextTheme();
      return true;
    case '?':
      helpOpen.value = true;
      return true;
    default:
      return false;
  }
}

/** Moves the focus along what the rows lead to. */
function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

function leaveFilter(input: HTMLInputElement): void {
  if (input.value) {
    input.value = '';
    input.dispatchEvent(new Event('input', { bubbles: true }));
  } else {
    input.blur();
  }
}

function isWriting(target: HTMLElement): boolean {
  return target.isContentEditable || target.matches('input:not([type=checkbox], [type=radio]), textarea, select, video');
}
