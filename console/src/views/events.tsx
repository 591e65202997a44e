import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Level, LogEvent } from '../api/types';
import { moment, plural, timeOfDay } from '../format';
import { events, unseenErrors } from '../state/store';
import { Choices, Search } from '../ui/controls';
import { Empty } from '../ui/empty';
import { LEVEL_LOOKS, State } from '../ui/state';
import { usePressedP } from './feeds';

type Filter = 'all' | 'warn' | 'error';

const text = signal('');
const level = signal<Filter>('all');
/** What is shown while paused; null: what comes. */
const held = signal<LogEvent[] | null>(null);
const SHOWN_MAX = 400;
const LEVELS: Record<Filter, Level[]> = {
  all: ['info', 'warn', 'error'],
  warn: ['warn', 'error'],
  error: ['error'],
};

/** What the node says, as it says it. */
export function Events() {
  usePressedP(pause);
  const all = held.value ?? events.value;
  useEffect(() => {
    unseenErrors.value = 0;
  }, [events.value]);
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(
    (event) => LEVELS[level.value].includes(event.level) && words.every((word) => haystack(event).includes(word)),
  );
  const of = (filter: Filter) => all.filter((event) => LEVELS[filter].includes(event.level)).length;
  const missed = held.value ? events.value.filter((event) => event.id > (held.value?.at(-1)?.id ?? 0)).length : 0;
  return (
    <>
      <header class="view-head">
        <h1 tabIndex={-1}>Events</h1>
        <Search label="Filter events" value={text.value} onInput={(value) => (text.value = value)} />
        <Choices<Filter>
          label="Events shown"
          value={level.value}
          onChange={(value) => (level.value = value)}
          choices={[
            { value: 'all', word: 'All', count: of('all') },
            { value: 'warn', word: 'Warnings', tone: 'warn', count: of('warn') },
            { value: 'error', word: 'Errors', tone: 'bad', count: of('error') },
          ]}
        />
        <button type="button" aria-pressed={held.value !== null} onClick={pause}>
          {held.value ? `Continue${missed ? ` (${missed} new)` : ''}` : 'Pause'}
        </button>
      </header>
      {found.length === 0 && <Empty text={all.length === 0 ? 'Nothing has happened yet.' : 'No event is like that.'} />}
      {found.length > 0 && (
        <ol class="events" reversed aria-label={plural(found.length, 'event')}>
          {found
            .slice(-SHOWN_MAX)
            .reverse()
            .map((event) => (
              <Line key={event.id} event={event} />
            ))}
        </ol>
      )}
      {found.length > SHOWN_MAX && <p class="muted">{plural(found.length - SHOWN_MAX, 'older event')}: filter to see them.</p>}
    </>
  );
}

function pause(): void {
  held.value = held.value ? null : events.peek();
}

function Line({ event }: { event: LogEvent }) {
  const fields = Object.entries(event.fields);
  return (
    <li class={`event level-${event.level}`}>
      <time dateTime={event.at} title={moment(event.at)}>
        {timeOfDay(event.at)}
      </time>
      <State look={LEVEL_LOOKS[event.level]} />
      <span class="room">{event.room}</span>
      <span class="said">
        {event.text}
        {fields.map(([name, value]) => (
          <span key={name} class="field-pair">
            <span class="field-name">{name}=</span>
            {typeof value === 'string' ? value : JSON.stringify(value)}
          </span>
        ))}
      </span>
    </li>
  );
}

function haystack(event: LogEvent): string {
  return `${event.room} ${event.text} ${JSON.stringify(event.fields)}`.toLowerCase();
}
