import { signal } from '@preact/signals';
import type { Session } from '../api/types';
import { plural } from '../format';
import { route } from '../state/route';
import { snapshot } from '../state/store';
import { Choices, Search } from '../ui/controls';
import { Empty, Loading } from '../ui/empty';
import { SessionTable } from './session-table';

type Kind = 'all' | Session['kind'];

const text = signal('');
const kind = signal<Kind>('all');
/** Rows drawn; a filter finds the rest. */
const SHOWN_MAX = 300;

/** Who takes and gives what. */
export function Sessions() {
  const all = snapshot.value?.sessions ?? [];
  const asked = route.value.query.get('of');
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(
    (session) =>
      (kind.value === 'all' || session.kind === kind.value) &&
      (!asked || session.resource === asked) &&
      words.every((word) => haystack(session).includes(word)),
  );
  const of = (wanted: Kind) => all.filter((session) => session.kind === wanted).length;
  return (
    <>
      <header class="view-head">
        <h1 tabIndex={-1}>Sessions{asked && <span class="sub">of {asked}</span>}</h1>
        <Search label="Filter sessions" value={text.value} onInput={(value) => (text.value = value)} />
        <Choices<Kind>
          label="Sessions shown"
          value={kind.value}
          onChange={(value) => (kind.value = value)}
          choices={[
            { value: 'all', word: 'All', count: all.length },
            { value: 'publish', word: 'Publish', count: of('publish') },
            { value: 'pull', word: 'Pull', count: of('pull') },
            { value: 'watch', word: 'Watch', count: of('watch') },
          ]}
        />
      </header>
      {!snapshot.value && <Loading />}
      {snapshot.value && found.length === 0 && (
        <Empty text={all.length === 0 ? 'Nobody is connected.' : 'No session is like that.'} />
      )}
      {found.length > 0 && <SessionTable list={found.slice(0, SHOWN_MAX)} label={plural(found.length, 'session')} />}
      {found.length > SHOWN_MAX && <p class="muted">{plural(found.length - SHOWN_MAX, 'session')} more: filter to see them.</p>}
    </>
  );
}

function haystack(session: Session): string {
  const parts = [session.id, session.user, session.peer, session.resource, session.protocol, session.kind, session.agent];
  return parts.filter(Boolean).join('\n').toLowerCase();
}
