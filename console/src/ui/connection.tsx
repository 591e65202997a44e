// Says that what is shown is of the past, how old it is and what is done about it.

import { connection, fault, heardAt, retryAt, retryNow } from '../api/live';
import { duration } from '../format';
import { now } from '../state/clock';
import { Mark } from './state';

export function ConnectionBanner() {
  if (connection.value !== 'lost') return null;
  void now.value;
  const age = heardAt.value ? `What you see is ${duration(performance.now() - heardAt.value)} old. ` : '';
  const wait = Math.max(0, Math.ceil((retryAt.value - performance.now()) / 1000));
  return (
    <section class="banner" aria-label="Connection">
      <Mark tone="bad" />
      <p>
        <strong>The connection to the node is lost</strong>
        {fault.value && <>: {fault.value}</>}. {age}
        {wait > 0 ? `The next attempt is in ${wait} s.` : 'Connecting…'}
      </p>
      <button type="button" onClick={retryNow}>
        Try now
      </button>
    </section>
  );
}
