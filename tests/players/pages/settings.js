// The settings that docs/interop.md recommends to players of a channel at low latency.

/** Whether the page's address asks for them. */
export const lowLatency = new URLSearchParams(location.search).get('settings') === 'low-latency';

export const hlsSettings = {
  lowLatencyMode: true,
  maxLiveSyncPlaybackRate: 1.1,
  // By default each stall costs a second of latency for good.
  liveSyncOnStallIncrease: 0.2,
};

export const shakaSettings = {
  streaming: {
    lowLatencyMode: true,
    // Behind the end of the seek range, which is a hold-back (PART-HOLD-BACK, suggestedPresentationDelay) behind live.
    liveSync: { enabled: true, targetLatency: 0.5, targetLatencyTolerance: 0.3, maxPlaybackRate: 1.1, minPlaybackRate: 0.95 },
  },
};

export const dashSettings = {
  streaming: {
    delay: { liveDelay: 1.5 },
    liveCatchup: { enabled: true, playbackRate: { min: -0.1, max: 0.1 } },
  },
};
