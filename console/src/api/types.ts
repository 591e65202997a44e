// The admin API's shapes, as /api/v1/openapi.json describes them. Times are RFC 3339 in UTC.

export interface Node {
  version: string;
  /** In lab mode there is no configuration, everything is allowed and nothing leaves loopback. */
  mode: 'lab' | 'configured';
  started_at: string;
  uptime_seconds: number;
  roles: string[];
  revision: number | null;
  ports: Port[];
  /** The edge, as a browser on the node's own host sees it. */
  http_base: string;
}

export interface Port {
  name: string;
  protocol: 'udp' | 'tcp';
  address: string;
}

export type FeedState = 'live' | 'waiting' | 'closed' | 'expected';

export interface Feed {
  id: string;
  label?: string | null;
  state: FeedState;
  /** Since when it is in that state; null where it was never seen. */
  since: string | null;
  bytes_total: number;
  bytes_held: number;
  discontinuities_total: number;
  /** Bits a second. */
  bit_rate: number | null;
  program: Program | null;
  publisher: Publisher | null;
  /** SRT sessions that pull it. */
  pulls: number;
  last_error: Fault | null;
}

export interface Program {
  number: number;
  pmt_pid: number;
  pcr_pid: number;
  streams: ElementaryStream[];
}

export interface ElementaryStream {
  pid: number;
  stream_type: number;
  label: string;
  language: string | null;
  packaged: boolean;
}

export interface Publisher {
  session: string;
  peer: string;
  user: string | null;
  encrypted: boolean;
  latency_ms: number;
  rtt_ms: number | null;
  /** A fraction, of the last 10 s. */
  loss: number | null;
  since: string;
}

export interface Fault {
  at: string;
  text: string;
}

export interface Sample {
  at: string;
  bit_rate: number | null;
  loss: number | null;
  rtt_ms: number | null;
}

export interface History {
  step_seconds: number;
  samples: Sample[];
}

export type ChannelState = 'on_air' | 'silent' | 'off_air';

export interface Channel {
  id: string;
  feed: string;
  label?: string | null;
  state: ChannelState;
  /** Paths on the edge's HTTP listener. */
  hls: string;
  dash: string;
  tracks: Track[];
  renditions: Rendition[];
  objects_held: number;
  bytes_held: number;
  stats: ChannelStats | null;
  /** The newest of the leading rendition; not in a snapshot. */
  parts?: Part[];
  viewers: number;
  last_error: Fault | null;
}

export interface Track {
  pid: number;
  codec: string;
  language: string | null;
}

export interface Rendition {
  name: string;
  kind: 'video' | 'audio';
  codec: string;
  width?: number | null;
  height?: number | null;
  frame_rate?: number | null;
  language?: string | null;
  bit_rate: number | null;
}

export interface Part {
  rendition: string;
  /** The Media Sequence Number of its Segment, and its place in it. */
  sequence: number;
  part: number;
  at: string;
  duration_ms: number;
  bytes: number;
  independent: boolean;
}

export interface ChannelStats {
  running: boolean;
  tracks: number;
  samples: number;
  samples_dropped: number;
  parts: number;
  segments: number;
  discontinuities: number;
  restarts: number;
  lagged: number;
  clock_drift_seconds: number;
  last_error: string | null;
}

export interface Session {
  id: string;
  kind: 'publish' | 'pull' | 'watch';
  protocol: 'srt' | 'hls' | 'dash';
  peer: string;
  user: string | null;
  /** The Feed or Channel. */
  resource: string;
  since: string;
  encrypted: boolean;
  bytes: number;
  bit_rate: number | null;
  rtt_ms?: number | null;
  /** A fraction. */
  loss?: number | null;
  latency_ms?: number | null;
  lost?: number | null;
  retransmitted?: number | null;
  agent?: string | null;
  state?: string | null;
}

export type Level = 'info' | 'warn' | 'error';

export interface LogEvent {
  id: number;
  at: string;
  level: Level;
  room: string;
  text: string;
  fields: Record<string, unknown>;
}

/** What the live stream tells once a second. */
export interface Snapshot {
  at: string;
  feeds: Feed[];
  channels: Channel[];
  sessions: Session[];
}

export interface ConfigText {
  /** Null where none is kept. */
  revision: number | null;
  text: string;
  /** Null in lab mode. */
  path: string | null;
  writable: boolean;
  format: string;
}

export interface Check {
  problems: ConfigProblem[];
  changes: Change[];
  drops: Drop[];
  needs_restart: string[];
}

export interface ConfigProblem {
  severity: string;
  key: string;
  line: number | null;
  message: string;
  remedy: string | null;
}

export interface Change {
  what: string;
  subject: string;
  effect: string;
}

export interface Drop {
  kind: 'feed' | 'channel' | 'session';
  id: string;
  why: string;
}

export interface Applied extends Check {
  revision: number | null;
}

export interface Revision {
  revision: number;
  /** Null where it is broken, and so are the next two. */
  at: string | null;
  comment: string | null;
  /** `api` or `file`. */
  by: string | null;
  current: boolean;
  /** Why it cannot be read. */
  broken?: string;
}

/** An error's body (RFC 9457). */
export interface Problem {
  title: string;
  status: number;
  detail?: string;
  problems?: ConfigProblem[];
  drops?: Drop[];
}
