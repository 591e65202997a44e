import { computed, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { bitRate, count, duration, milliseconds, percent, plural, timeOfDay } from '../format';
import { backfillAll } from '../state/backfill';
import { matches, rows, sorted, type Column, type Filter, type Order, type Row } from '../state/board';
import { now } from '../state/clock';
import { lossSeverity, recent } from '../state/health';
import { pressedP } from '../state/keys';
import { href } from '../state/route';
import { snapshot, trend } from '../state/store';
import { Choices, Search, SortHead, type Choice } from '../ui/controls';
import { Empty, Loading } from '../ui/empty';
import { Spark } from '../ui/spark';
import { FEED_LOOKS, Mark, severityTone, State } from '../ui/state';

// Kept while other views are looked at.
const text = signal('');
const filter = signal<Filter>('all');
const order = signal<Order>({ column: 'feed', descending: false, problemsFirst: true });

const all = computed(() => rows(snapshot.value?.feeds ?? [], snapshot.value?.channels ?? [], now.peek()));

/** Every Feed at one look. */
export function Feeds() {
  const known = snapshot.value !== null;
  usePressedP(() => {
    order.value = { ...order.value, problemsFirst: !order.value.problemsFirst };
  });
  useEffect(() => {
    if (known) void backfillAll(snapshot.peek()?.feeds ?? []);
  }, [known]);
  const shown = sorted(
    all.value.filter((row) => matches(row, filter.value, text.value)),
    order.value,
  );
  return (
    <>
      <header class="view-head">
        <h1 tabIndex={-1}>Feeds</h1>
        <Search label="Filter feeds" value={text.value} onInput={(value) => (text.value = value)} />
        <Choices label="Feeds shown" choices={choices()} value={filter.value} onChange={(value) => (filter.value = value)} />
        <label class="tick">
          <input
            type="checkbox"
            checked={order.value.problemsFirst}
            onChange={(event) => (order.value = { ...order.value, problemsFirst: event.currentTarget.checked })}
          />
          <span>Problems first</span>
        </label>
      </header>
      {!known && <Loading />}
      {known && shown.length === 0 && <Empty text={all.value.length === 0 ? NO_FEEDS : 'No feed is like that.'} />}
      {shown.length > 0 && <Board list={shown} />}
    </>
  );
}

const NO_FEEDS = 'No feed is configured and no venue publishes yet.';

export function usePressedP(act: () => void): void {
  const seen = useRef(pressedP.peek());
  const presses = pressedP.value;
  useEffect(() => {
    if (presses !== seen.current) act();
    seen.current = presses;
  }, [presses]);
}

function choices(): Choice<Filter>[] {
  const list = all.value;
  const of = (state: Filter) => list.filter((row) => row.feed.state === state).length;
  return [
    { value: 'all', word: 'All', count: list.length },
    { value: 'problems', word: 'Problems', tone: 'bad', count: list.filter((row) => row.health.severity >= 2).length },
    { value: 'live', word: 'Live', tone: 'ok', count: of('live') },
    { value: 'waiting', word: 'Waiting', tone: 'bad', shape: 'triangle', count: of('waiting') },
    { value: 'expected', word: 'Expected', tone: 'idle', count: of('expected') },
    ...(of('closed') > 0 ? [{ value: 'closed', word: 'Closed', tone: 'idle', shape: 'square', count: of('closed') } as const] : []),
  ];
}

function Board({ list }: { list: Row[] }) {
  const head = (column: Column, word: string, numeric = false) => (
    <SortHead
      column={column}
      word={word}
      numeric={numeric}
      sort={order.value}
      onSort={(sort) => (order.value = { ...order.value, ...sort })}
    />
  );
  return (
    <div class="table-frame">
      <table class="grid board" role="table" aria-label={plural(list.length, 'feed')}>
        <thead role="rowgroup">
          <tr role="row">
            {head('state', 'State')}
            {head('feed', 'Feed')}
            {head('video', 'Streams')}
            {head('rate', 'Bit rate', true)}
            {head('loss', 'Loss', true)}
            {head('rtt', 'RTT', true)}
            {head('pulls', 'Pulls', true)}
            {head('publisher', 'Publisher')}
            {head('error', 'Last error')}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.map((row) => (
            <BoardRow key={row.feed.id} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function BoardRow({ row }: { row: Row }) {
  const { feed, health } = row;
  const publisher = feed.publisher;
  return (
    <tr role="row" class={`severity-${health.severity} is-${feed.state}`} data-feed={feed.id}>
      <td role="cell" class="c-state">
        <State look={FEED_LOOKS[feed.state]} />
      </td>
      <th scope="row" role="rowheader" class="c-name">
        <span class="c-name-line">
          <a class="row-link" data-row href={href('feeds', feed.id)}>
            <span class="name">{feed.label ?? feed.id}</span>
            {feed.label && <span class="sub">{feed.id}</span>}
          </a>
          {health.severity >= 2 && feed.state !== 'waiting' && feed.state !== 'closed' && (
            <span class={`badge tone-${severityTone(health.severity)}`}>
              <Mark tone={severityTone(health.severity)} />
              {health.text}
            </span>
          )}
        </span>
      </th>
      <td role="cell" class="c-video" data-label="Streams">
        {row.codec || <Nothing />}
        {row.size && (
          <span class="sub">
            {row.size}
            {row.rate && <span class="wider-only"> {row.rate}</span>}
          </span>
        )}
      </td>
      <td role="cell" class="c-rate number" data-label="Bit rate">
        <span class="rate">
          <Spark values={trend(feed.id).rates} />
          <span class="value">{bitRate(feed.state === 'live' ? feed.bit_rate : null)}</span>
        </span>
      </td>
      <td role="cell" class={`c-loss number tone-${severityTone(lossSeverity(publisher?.loss))}`} data-label="Loss">
        {percent(publisher?.loss)}
      </td>
      <td role="cell" class="c-rtt number" data-label="RTT">
        {milliseconds(publisher?.rtt_ms)}
      </td>
      <td role="cell" class="c-pulls number" data-label="Pulls">
        {count(feed.pulls)}
      </td>
      <td role="cell" class="c-publisher" data-label="Publisher">
        {publisher ? (
          <>
            <span title={publisher.peer}>{publisher.user ?? publisher.peer}</span>
            {publisher.user && <span class="sub widest-only">{publisher.peer}</span>}
          </>
        ) : (
          <Since feed={row.feed} />
        )}
      </td>
      <td role="cell" class="c-error" data-label="Last error">
        <LastError row={row} />
      </td>
    </tr>
  );
}

function Since({ feed }: Pick<Row, 'feed'>) {
  if (feed.state === 'expected' || !feed.since) return <Nothing />;
  return <span class="sub">gone for {duration(now.value - Date.parse(feed.since))}</span>;
}

function LastError({ row: { feed } }: { row: Row }) {
  if (!feed.last_error) return <Nothing />;
  return (
    <span class={recent(feed, now.peek()) ? 'error recent' : 'error'} title={feed.last_error.text}>
      <time dateTime={feed.last_error.at}>{timeOfDay(feed.last_error.at)}</time> {feed.last_error.text}
    </span>
  );
}

const Nothing = () => (
  <span class="nothing">
    <span aria-hidden="true">–</span>
    <span class="hidden">none</span>
  </span>
);
