// The newest Parts of a Channel, asked for while its page is open.

import { useEffect, useState } from 'preact/hooks';
import { channel } from '../api/client';
import type { Part } from '../api/types';
import { merge, segments, type Segment } from './segments';

export interface Parts {
  segments: Segment[];
  error: unknown;
}

const EVERY_MS = 500;

export function useParts(id: string): Parts {
  const [known, setKnown] = useState<Part[]>([]);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const abort = new AbortController();
    const ask = async () => {
      while (!abort.signal.aborted) {
        const begun = performance.now();
        if (!document.hidden) {
          try {
            const { parts } = await channel(id, abort.signal);
            setKnown((known) => merge(known, parts ?? []));
            setError(null);
          } catch (refused) {
            if (!abort.signal.aborted) setError(refused);
          }
        }
        await new Promise((resolve) => setTimeout(resolve, Math.max(50, EVERY_MS - (performance.now() - begun))));
      }
    };
    void ask();
    return () => abort.abort();
  }, [id]);
  return { segments: segments(known), error };
}
