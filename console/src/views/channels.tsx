import { signal } from '@preact/signals';
import type { Channel, ChannelState } from '../api/types';
import { bytes, count, plural, timeOfDay } from '../format';
import { picture } from '../state/board';
import { href } from '../state/route';
import { snapshot } from '../state/store';
import { Choices, Search } from '../ui/controls';
import { Empty, Loading } from '../ui/empty';
import { CHANNEL_LOOKS, State } from '../ui/state';

type Filter = 'all' | ChannelState;

const text = signal('');
const filter = signal<Filter>('all');
const STATE_ORDER: ChannelState[] = ['silent', 'on_air', 'off_air'];

/** What players can watch. */
export function Channels() {
  const all = snapshot.value?.channels ?? [];
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all
    .filter((channel) => filter.value === 'all' || channel.state === filter.value)
    .filter((channel) => words.every((word) => haystack(channel).includes(word)))
    .sort((a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) || a.id.localeCompare(b.id, 'en', { numeric: true }));
  const of = (state: ChannelState) => all.filter((channel) => channel.state === state).length;
  return (
    <>
      <header class="view-head">
        <h1 tabIndex={-1}>Channels</h1>
        <Search label="Filter channels" value={text.value} onInput={(value) => (text.value = value)} />
        <Choices<Filter>
          label="Channels shown"
          value={filter.value}
          onChange={(value) => (filter.value = value)}
          choices={[
            { value: 'all', word: 'All', count: all.length },
            { value: 'on_air', word: 'On air', tone: 'ok', count: of('on_air') },
            { value: 'silent', word: 'Silent', tone: 'bad', shape: 'triangle', count: of('silent') },
            { value: 'off_air', word: 'Off air', tone: 'idle', count: of('off_air') },
          ]}
        />
      </header>
      {!snapshot.value && <Loading />}
      {snapshot.value && found.length === 0 && (
        <Empty text={all.length === 0 ? 'No channel is configured, and none is on air.' : 'No channel is like that.'} />
      )}
      {found.length > 0 && <List list={found} />}
    </>
  );
}

function List({ list }: { list: Channel[] }) {
  return (
    <div class="table-frame">
      <table class="grid cards channels" role="table" aria-label={plural(list.length, 'channel')}>
        <thead role="rowgroup">
          <tr role="row">
            <th scope="col" role="columnheader">State</th>
            <th scope="col" role="columnheader">Channel</th>
            <th scope="col" role="columnheader">Feed</th>
            <th scope="col" role="columnheader">Picture</th>
            <th scope="col" role="columnheader">Renditions</th>
            <th scope="col" role="columnheader" class="number">Viewers</th>
            <th scope="col" role="columnheader" class="number">Held</th>
            <th scope="col" role="columnheader">Last error</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.map((channel) => (
            <tr role="row" key={channel.id} data-channel={channel.id}>
              <td role="cell" class="c-state">
                <State look={CHANNEL_LOOKS[channel.state]} />
              </td>
              <th scope="row" role="rowheader" class="c-name">
                <a class="row-link" data-row href={href('channels', channel.id)}>
                  <span class="name">{channel.label ?? channel.id}</span>
                  {channel.label && <span class="sub">{channel.id}</span>}
                </a>
              </th>
              <td role="cell" data-label="Feed">
                <a class="inline-link" href={href('feeds', channel.feed)}>
                  {channel.feed}
                </a>
              </td>
              <td role="cell" data-label="Picture">{pictureOf(channel) || '–'}</td>
              <td role="cell" data-label="Renditions">{renditions(channel) || '–'}</td>
              <td role="cell" class="number" data-label="Viewers">{count(channel.viewers)}</td>
              <td role="cell" class="number" data-label="Held">{bytes(channel.bytes_held)}</td>
              <td role="cell" class="c-error" data-label="Last error">
                {channel.last_error ? (
                  <span class="error" title={channel.last_error.text}>
                    <time dateTime={channel.last_error.at}>{timeOfDay(channel.last_error.at)}</time> {channel.last_error.text}
                  </span>
                ) : (
                  '–'
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function pictureOf(channel: Channel): string {
  const { size, rate } = picture(channel);
  return `${size} ${rate}`.trim();
}

function renditions(channel: Channel): string {
  return channel.renditions
    .map((rendition) => (rendition.language ? `${rendition.codec} (${rendition.language})` : rendition.codec))
    .join(', ');
}

function haystack(channel: Channel): string {
  const parts = [channel.id, channel.label, channel.feed, channel.state, channel.last_error?.text];
  return parts.filter(Boolean).join('\n').toLowerCase();
}
