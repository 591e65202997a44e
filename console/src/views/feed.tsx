import { bitRate, bytes, count, duration, milliseconds, moment, percent, plural } from '../format';
import { now } from '../state/clock';
import { useHistory } from '../state/history';
import { href } from '../state/route';
import { health } from '../state/health';
import { snapshot } from '../state/store';
import type { Feed, Program } from '../api/types';
import { Empty, Failure, Loading } from '../ui/empty';
import { Fact, Facts } from '../ui/facts';
import { LockIcon } from '../ui/icons';
import { PageHead } from '../ui/page';
import { Plot } from '../ui/plot';
import { FEED_LOOKS, Mark, severityTone } from '../ui/state';
import { EndButton, SessionTable } from './session-table';

/** One Feed: how it arrives, what it carries, who takes it. */
export function FeedPage({ id }: { id: string }) {
  const known = snapshot.value;
  const feed = known?.feeds.find((feed) => feed.id === id);
  if (!known) return <Loading />;
  return (
    <>
      <PageHead view="feeds" list="Feeds" id={id} label={feed?.label} look={feed && FEED_LOOKS[feed.state]} />
      {feed ? <Page feed={feed} /> : <Empty text={`There is no feed “${id}” now.`} />}
    </>
  );
}

function Page({ feed }: { feed: Feed }) {
  const { data, error } = useHistory(feed.id);
  const state = health(feed, now.value);
  const channels = snapshot.value?.channels.filter((channel) => channel.feed === feed.id) ?? [];
  const pulls = snapshot.value?.sessions.filter((one) => one.kind === 'pull' && one.resource === feed.id) ?? [];
  return (
    <>
      {(state.severity >= 2 || feed.last_error) && (
        <p class={`notice tone-${severityTone(state.severity)}`}>
          <Mark tone={severityTone(state.severity)} />
          <span>
            {state.severity >= 2 && <strong>{state.text}. </strong>}
            {feed.last_error && `${moment(feed.last_error.at)}: ${feed.last_error.text}`}
          </span>
        </p>
      )}
      {error !== null && <Failure error={error} />}
      <section class="plots" aria-label="The last ten minutes">
        <Plot title="Bit rate" {...data} values={data.bitRate} format={bitRate} atLeast={1e5} line="--plot-rate" />
        <Plot title="Loss" {...data} values={data.loss} format={percent} atLeast={0.01} line="--plot-loss" />
        <Plot title="RTT" {...data} values={data.rtt} format={milliseconds} atLeast={20} line="--plot-rtt" />
      </section>
      <div class="columns">
        <Venue feed={feed} />
        <section class="panel">
          <h2>Feed</h2>
          <Facts>
            <Fact name="In this state">{feed.since ? duration(now.value - Date.parse(feed.since)) : 'never seen'}</Fact>
            <Fact name="Received">{bytes(feed.bytes_total)}</Fact>
            <Fact name="Held for pullers">{bytes(feed.bytes_held)}</Fact>
            <Fact name="Discontinuities">{count(feed.discontinuities_total)}</Fact>
            <Fact name="Channels">
              {channels.length === 0 && '–'}
              {channels.map((channel) => (
                <a key={channel.id} class="inline-link" href={href('channels', channel.id)}>
                  {channel.label ?? channel.id}
                </a>
              ))}
            </Fact>
          </Facts>
        </section>
      </div>
      <Streams program={feed.program} />
      <section class="panel flush">
        <h2>Pullers</h2>
        {pulls.length === 0 ? <Empty text="Nobody pulls it over SRT." /> : <SessionTable list={pulls} label={plural(pulls.length, 'puller')} />}
      </section>
    </>
  );
}

function Venue({ feed }: { feed: Feed }) {
  const venue = feed.publisher;
  const session = snapshot.value?.sessions.find((session) => session.id === venue?.session);
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>Publisher</h2>
        {session && <EndButton session={session} />}
      </div>
      {!venue && <p class="muted">No venue publishes it.</p>}
      {venue && (
        <Facts>
          <Fact name="From">{venue.peer}</Fact>
          <Fact name="User">{venue.user ?? '–'}</Fact>
          <Fact name="Encrypted">
            {venue.encrypted ? (
              <>
                <LockIcon /> yes
              </>
            ) : (
              'no'
            )}
          </Fact>
          <Fact name="SRT latency">{milliseconds(venue.latency_ms)}</Fact>
          <Fact name="Loss, last 10 s">{percent(venue.loss)}</Fact>
          <Fact name="RTT">{milliseconds(venue.rtt_ms)}</Fact>
          <Fact name="Connected for">{duration(now.value - Date.parse(venue.since))}</Fact>
        </Facts>
      )}
    </section>
  );
}

function Streams({ program }: { program: Program | null }) {
  return (
    <section class="panel flush">
      <h2>Programme{program && ` ${program.number}`}</h2>
      {!program && <Empty text="It has not said yet what it carries." />}
      {program && (
        <div class="table-frame">
          <table class="grid cards" role="table" aria-label={plural(program.streams.length, 'elementary stream')}>
            <thead role="rowgroup">
              <tr role="row">
                <th scope="col" role="columnheader">PID</th>
                <th scope="col" role="columnheader">Stream</th>
                <th scope="col" role="columnheader">Language</th>
                <th scope="col" role="columnheader">Stream type</th>
                <th scope="col" role="columnheader">Packaged</th>
              </tr>
            </thead>
            <tbody role="rowgroup">
              {program.streams.map((stream) => (
                <tr role="row" key={stream.pid}>
                  <td role="cell" data-label="PID">
                    {stream.pid}
                    {stream.pid === program.pcr_pid && <span class="sub">PCR</span>}
                  </td>
                  <th scope="row" role="rowheader">{stream.label}</th>
                  <td role="cell" data-label="Language">{stream.language ?? '–'}</td>
                  <td role="cell" data-label="Stream type">
                    0x{stream.stream_type.toString(16).padStart(2, '0')}
                  </td>
                  <td role="cell" data-label="Packaged">{stream.packaged ? 'yes' : 'passed through only'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
