// A Feed's last ten minutes: what the node remembers, then what each snapshot adds.

import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { history } from '../api/client';
import { snapshot } from './store';

export interface Series {
  /** Seconds since 1970. */
  times: number[];
  bitRate: (number | null)[];
  loss: (number | null)[];
  rtt: (number | null)[];
}

const KEPT_SECONDS = 600;
const NOTHING: Series = { times: [], bitRate: [], loss: [], rtt: [] };

export function useHistory(feed: string): { data: Series; error: unknown } {
  const [data, setData] = useState<Series>(NOTHING);
  const [error, setError] = useState<unknown>(null);
  const ready = useRef(false);

  useEffect(() => {
    const abort = new AbortController();
    history(feed, abort.signal).then(
      ({ samples }) => {
        ready.current = true;
        setData({
          times: samples.map((sample) => Date.parse(sample.at) / 1000),
          bitRate: samples.map((sample) => sample.bit_rate),
          loss: samples.map((sample) => sample.loss),
          rtt: samples.map((sample) => sample.rtt_ms),
        });
      },
      (refused: unknown) => {
        ready.current = true;
        if (!abort.signal.aborted) setError(refused);
      },
    );
    return () => abort.abort();
  }, [feed]);

  useSignalEffect(() => {
    const next = snapshot.value;
    const now = next?.feeds.find((one) => one.id === feed);
    if (!next || !now || !ready.current) return;
    const time = Date.parse(next.at) / 1000;
    const rate = now.state === 'live' ? now.bit_rate : null;
    setData((data) => append(data, time, rate, now.publisher?.loss ?? null, now.publisher?.rtt_ms ?? null));
  });
  return { data, error };
}

function append(data: Series, time: number, rate: number | null, loss: number | null, rtt: number | null): Series {
  const last = data.times.at(-1) ?? 0;
  if (time <= last) return data;
  const from = data.times.findIndex((known) => known > time - KEPT_SECONDS);
  const keep = <T>(list: T[], next: T): T[] => [...(from < 0 ? [] : list.slice(from)), next];
  return {
    times: keep(data.times, time),
    bitRate: keep(data.bitRate, rate),
    loss: keep(data.loss, loss),
    rtt: keep(data.rtt, rtt),
  };
}
