// At the top right: the node, the connection, and what an operator sets for this browser.

import { signOut, token } from '../api/client';
import { connection, heardAt } from '../api/live';
import { duration } from '../format';
import { now } from '../state/clock';
import { helpOpen } from '../state/keys';
import { node } from '../state/node';
import { nextTheme, theme } from '../state/theme';
import { HelpIcon, SignOutIcon, ThemeIcon } from './icons';
import { Mark } from './state';

const THEME_WORDS = { system: 'as the system', dark: 'dark', light: 'light' };

export function Toolbar() {
  return (
    <div class="toolbar">
      <NodeFacts />
      <Connection />
      <button
        type="button"
        class="quiet square"
        onClick={nextTheme}
        aria-label={`Colours: ${THEME_WORDS[theme.value]}. Change`}
        title={`Colours: ${THEME_WORDS[theme.value]}`}
      >
        <ThemeIcon theme={theme.value} />
      </button>
      <button
        type="button"
        class="quiet square wide-only"
        onClick={() => {
          helpOpen.value = true;
        }}
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
      >
        <HelpIcon />
      </button>
      {token.value && (
        <button type="button" class="quiet square" onClick={signOut} aria-label="Sign out" title="Sign out">
          <SignOutIcon />
        </button>
      )}
    </div>
  );
}

function NodeFacts() {
  const known = node.value;
  if (!known) return null;
  const up = duration(now.value - Date.parse(known.started_at));
  const ports = known.ports.map((port) => `${port.name}: ${port.protocol} ${port.address}`).join('\n');
  return (
    <dl class="node-facts wide-only" title={ports}>
      {known.mode === 'lab' && (
        <div>
          <dt class="hidden">Mode</dt>
          <dd class="badge">Lab mode</dd>
        </div>
      )}
      <div>
        <dt>Version</dt>
        <dd>{known.version}</dd>
      </div>
      {known.revision !== null && (
        <div>
          <dt>Revision</dt>
          <dd>{known.revision}</dd>
        </div>
      )}
      <div>
        <dt>Up</dt>
        <dd>{up}</dd>
      </div>
    </dl>
  );
}

/** Beyond this the figures shown are not of this moment. */
const STALE_MS = 3000;

function Connection() {
  // Once a second by the clock.
  void now.value;
  const age = heardAt.value ? performance.now() - heardAt.value : null;
  const state = connection.value;
  if (state === 'open' && age !== null && age < STALE_MS) {
    return (
      <span class="connection tone-ok">
        <Mark tone="ok" />
        <span>Live data</span>
      </span>
    );
  }
  return (
    <span class="connection tone-warn">
      <Mark tone="warn" />
      <span>{age === null ? 'Connecting' : `Data ${duration(age)} old`}</span>
    </span>
  );
}
