// hls.js on a <video>, its life and its figures.

import type Hls from 'hls.js';
import type { ErrorData, HlsConfig } from 'hls.js';
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { snapshot } from './store';

export interface Figures {
  /** Seconds from the capture to the screen: the picture's time of day against the clock. */
  latency: number | null;
  /** Seconds behind the live edge that hls.js aims at. */
  target: number | null;
  /** Seconds in hand. */
  buffer: number | null;
  startMs: number | null;
  stalls: number;
  dropped: number;
}

export interface Playing {
  figures: Figures;
  /** What the player could not mend, in words. */
  refusal: string;
  wantsToken: boolean;
  tracks: string[];
  track: number;
  select: (track: number) => void;
}

const NOTHING: Figures = { latency: null, target: null, buffer: null, startMs: null, stalls: 0, dropped: 0 };
const EVERY_MS = 500;
const RETRY_MS = 3000;
/** A browser's clock is compared with the node's only where it is clearly off: below, the way here explains it. */
const CLOCK_OFF_MS = 500;

export function useHls(video: RefObject<HTMLVideoElement | null>, source: string, key: string): Playing {
  const player = useRef<Hls | null>(null);
  const [figures, setFigures] = useState(NOTHING);
  const [refusal, setRefusal] = useState('');
  const [wantsToken, setWantsToken] = useState(false);
  const [tracks, setTracks] = useState<string[]>([]);
  const [track, setTrack] = useState(0);

  useEffect(() => {
    const element = video.current;
    if (!element) return;
    let gone = false;
    let timer = 0;
    setWantsToken(false);
    setRefusal('');
    const fail = (data: ErrorData) => {
      if (data.response?.code === 401 || data.response?.code === 403) setWantsToken(true);
      else if (data.fatal) setRefusal(`The player stopped: ${data.details}. It tries again.`);
    };
    const meter = measure(element, () => player.current, setFigures);
    void import('hls.js').then(({ default: Hls }) => {
      if (gone) return;
      if (!Hls.isSupported()) {
        setRefusal('This browser has no Media Source Extensions: it cannot play the channel here.');
        return;
      }
      const hls = new Hls(configuration(key));
      player.current = hls;
      hls.on(Hls.Events.MANIFEST_PARSED, () => {
        setRefusal('');
        void element.play().catch(() => {});
      });
      hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => setTracks(hls.audioTracks.map(({ name, lang }) => name || lang || 'audio')));
      hls.on(Hls.Events.AUDIO_TRACK_SWITCHED, () => setTrack(hls.audioTrack));
      hls.on(Hls.Events.ERROR, (_, data) => {
        fail(data);
        if (!data.fatal || data.response?.code === 401 || data.response?.code === 403) return;
        clearTimeout(timer);
        timer = window.setTimeout(() => {
          if (data.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
          else hls.loadSource(source);
        }, RETRY_MS);
      });
      hls.loadSource(source);
      hls.attachMedia(element);
    });
    return () => {
      gone = true;
      clearTimeout(timer);
      meter();
      player.current?.destroy();
      player.current = null;
    };
  }, [source, key]);

  const select = (wanted: number) => {
    if (player.current) player.current.audioTrack = wanted;
  };
  return { figures, refusal, wantsToken, tracks, track, select };
}

function configuration(key: string): Partial<HlsConfig> {
  const base: Partial<HlsConfig> = { lowLatencyMode: true, backBufferLength: 30 };
  if (!key) return base;
  return { ...base, xhrSetup: (xhr) => xhr.setRequestHeader('authorization', `Bearer ${key}`) };
}

/** Reads the figures twice a second until it is told to stop. */
function measure(video: HTMLVideoElement, hls: () => Hls | null, give: (figures: Figures) => void): () => void {
  const begun = performance.now();
  const events = new AbortController();
  let startMs: number | null = null;
  let stalls = 0;
  video.addEventListener('playing', () => (startMs ??= Math.round(performance.now() - begun)), { signal: events.signal });
  video.addEventListener('waiting', () => (stalls += startMs === null ? 0 : 1), { signal: events.signal });
  const timer = setInterval(() => {
    const player = hls();
    const shown = player?.playingDate?.getTime();
    const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : null;
    give({
      latency: shown && startMs !== null ? (Date.now() - clockOffset() - shown) / 1000 : null,
      target: player?.targetLatency ?? null,
      buffer: end === null ? null : Math.max(0, end - video.currentTime),
      startMs,
      stalls,
      dropped: video.getVideoPlaybackQuality().droppedVideoFrames,
    });
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    events.abort();
  };
}

let nearest = Infinity;

snapshot.subscribe((next) => {
  if (!next) return;
  const off = Date.now() - Date.parse(next.at);
  // A clock that was set meanwhile starts the comparison anew.
  if (Math.abs(off - nearest) > 60_000) nearest = off;
  nearest = Math.min(nearest, off);
});

/** Milliseconds that this browser's clock is ahead of the node's. */
function clockOffset(): number {
  return Number.isFinite(nearest) && Math.abs(nearest) > CLOCK_OFF_MS ? nearest : 0;
}
