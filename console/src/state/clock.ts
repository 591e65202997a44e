// This browser's clock, ticking once a second for whatever shows an age.

import { signal } from '@preact/signals';

/** Milliseconds since 1970. */
export const now = signal(Date.now());

setInterval(() => {
  now.value = Date.now();
}, 1000);
