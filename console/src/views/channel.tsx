import type { Channel, Rendition } from '../api/types';
import { bitRate, bytes, count, moment, plural } from '../format';
import { edgeBase, node } from '../state/node';
import { useParts } from '../state/parts';
import { href } from '../state/route';
import { snapshot } from '../state/store';
import { Empty, Loading } from '../ui/empty';
import { Fact, Facts } from '../ui/facts';
import { PageHead } from '../ui/page';
import { CHANNEL_LOOKS, Mark } from '../ui/state';
import { Player } from './player';
import { Timeline } from './timeline';

/** One Channel, as its viewers have it. */
export function ChannelPage({ id }: { id: string }) {
  const known = snapshot.value;
  if (!known) return <Loading />;
  const channel = known.channels.find((channel) => channel.id === id);
  return (
    <>
      <PageHead view="channels" list="Channels" id={id} label={channel?.label} look={channel && CHANNEL_LOOKS[channel.state]} />
      {channel ? <Page channel={channel} /> : <Empty text={`There is no channel “${id}” now.`} />}
    </>
  );
}

function Page({ channel }: { channel: Channel }) {
  const parts = useParts(channel.id);
  const base = node.value && edgeBase(node.value.http_base);
  return (
    <>
      {channel.last_error && (
        <p class="notice tone-warn">
          <Mark tone="warn" />
          <span>
            {moment(channel.last_error.at)}: {channel.last_error.text}
          </span>
        </p>
      )}
      <div class="columns watch">
        {channel.state === 'off_air' ? (
          <section class="panel off-air">
            <Empty text="The channel is off air: its feed does not come." />
          </section>
        ) : (
          base && <Player key={base + channel.hls} source={base + channel.hls} name={channel.label ?? channel.id} />
        )}
        <div class="beside">
          <About channel={channel} base={base} />
          <Renditions list={channel.renditions} />
        </div>
      </div>
      <Timeline {...parts} />
    </>
  );
}

function About({ channel, base }: { channel: Channel; base: string | null }) {
  const stats = channel.stats;
  return (
    <section class="panel">
      <h2>Channel</h2>
      <Facts>
        <Fact name="Feed">
          <a class="inline-link" href={href('feeds', channel.feed)}>
            {channel.feed}
          </a>
        </Fact>
        <Fact name="Viewers">
          <a class="inline-link" href={href('sessions', null, { of: channel.id })}>
            {plural(channel.viewers, 'viewer')}
          </a>
        </Fact>
        <Fact name="Held">{bytes(channel.bytes_held)}</Fact>
        <Fact name="Objects">{count(channel.objects_held)}</Fact>
        {stats && (
          <>
            <Fact name="Parts made">{count(stats.parts)}</Fact>
            <Fact name="Segments made">{count(stats.segments)}</Fact>
            <Fact name="Samples dropped">{count(stats.samples_dropped)}</Fact>
            <Fact name="Discontinuities">{count(stats.discontinuities)}</Fact>
            <Fact name="Restarts">{count(stats.restarts)}</Fact>
            <Fact name="Source clock off by">{(stats.clock_drift_seconds * 1000).toFixed(1)} ms</Fact>
          </>
        )}
      </Facts>
      {base && (
        <ul class="addresses">
          <li>
            <span>HLS</span> <a href={base + channel.hls}>{base + channel.hls}</a>
          </li>
          <li>
            <span>DASH</span> <a href={base + channel.dash}>{base + channel.dash}</a>
          </li>
        </ul>
      )}
    </section>
  );
}

function Renditions({ list }: { list: Rendition[] }) {
  return (
    <section class="panel flush">
      <h2>Renditions</h2>
      {list.length === 0 && <Empty text="None yet." />}
      {list.length > 0 && (
        <div class="table-frame">
          <table class="grid cards" role="table" aria-label={plural(list.length, 'rendition')}>
            <thead role="rowgroup">
              <tr role="row">
                <th scope="col" role="columnheader">Name</th>
                <th scope="col" role="columnheader">Codec</th>
                <th scope="col" role="columnheader">Picture</th>
                <th scope="col" role="columnheader">Language</th>
                <th scope="col" role="columnheader" class="number">Bit rate</th>
              </tr>
            </thead>
            <tbody role="rowgroup">
              {list.map((rendition) => (
                <tr role="row" key={rendition.name}>
                  <th scope="row" role="rowheader">{rendition.name}</th>
                  <td role="cell" data-label="Codec">{rendition.codec}</td>
                  <td role="cell" data-label="Picture">{picture(rendition)}</td>
                  <td role="cell" data-label="Language">{rendition.language ?? '–'}</td>
                  <td role="cell" class="number" data-label="Bit rate">{bitRate(rendition.bit_rate)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function picture(rendition: Rendition): string {
  if (!rendition.width || !rendition.height) return '–';
  const rate = rendition.frame_rate ? ` @ ${Number(rendition.frame_rate.toFixed(2))}/s` : '';
  return `${rendition.width}×${rendition.height}${rate}`;
}
