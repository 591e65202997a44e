import { useRef, useState } from 'preact/hooks';
import { milliseconds, seconds } from '../format';
import { useHls } from '../state/hls';
import { Fact, Facts } from '../ui/facts';

interface Props {
  source: string;
  name: string;
}

/** hls.js in its low-latency mode, and what it says of itself. */
export function Player({ source, name }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [key, setKey] = useState('');
  const { figures, refusal, wantsToken, tracks, track, select } = useHls(video, source, key);
  return (
    <section class="panel player" aria-label="Player">
      <div class="screen">
        <video ref={video} controls muted playsInline aria-label={`${name}, live`} />
        {wantsToken && <AskKey onKey={setKey} again={key !== ''} />}
      </div>
      {refusal && (
        <p class="refusal" role="status">
          {refusal}
        </p>
      )}
      <Facts>
        <Fact name="Latency">
          <span class="latency" data-latency={figures.latency ?? ''}>
            {seconds(figures.latency)}
          </span>
        </Fact>
        <Fact name="Aimed at">{seconds(figures.target)}</Fact>
        <Fact name="Buffer">{seconds(figures.buffer)}</Fact>
        <Fact name="Started in">{milliseconds(figures.startMs)}</Fact>
        <Fact name="Stalls">{figures.stalls}</Fact>
        <Fact name="Frames lost">{figures.dropped}</Fact>
      </Facts>
      {tracks.length > 1 && (
        <label class="field inline">
          <span>Language</span>
          <select value={track} onChange={(event) => select(Number(event.currentTarget.value))}>
            {tracks.map((track, index) => (
              <option key={index} value={index}>
                {track}
              </option>
            ))}
          </select>
        </label>
      )}
    </section>
  );
}

/** A channel that is not public plays for a broadcaster's token. It is kept by nobody. */
function AskKey({ onKey, again }: { onKey: (key: string) => void; again: boolean }) {
  const [value, setValue] = useState('');
  return (
    <form
      class="ask-key"
      onSubmit={(event) => {
        event.preventDefault();
        onKey(value.trim());
      }}
    >
      <p>
        {again ? 'That token does not open it. ' : 'This channel is not public. '}
        The token of a broadcaster who is entitled to it plays it here.
      </p>
      <label class="field">
        <span>Broadcaster’s token</span>
        <input type="password" autocomplete="off" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      </label>
      <button type="submit" disabled={!value.trim()}>
        Play
      </button>
    </form>
  );
}
