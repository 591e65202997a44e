import { bytes, milliseconds, plural, timeOfDay } from '../format';
import type { Parts } from '../state/parts';
import type { Segment, TimedPart } from '../state/segments';
import { Empty, Failure } from '../ui/empty';

/** Segments drawn: the newest ones. */
const SEGMENTS_SHOWN = 8;
/** Lateness that eats into what a low-latency player holds back, and that which is likely to stall it. */
const LATE_MS = 100;
const VERY_LATE_MS = 300;

/** The Parts of the newest Segments, drawn as they are made. */
export function Timeline({ segments, error }: Parts) {
  const shown = segments.slice(-SEGMENTS_SHOWN);
  const parts = shown.flatMap((segment) => segment.parts);
  const largest = Math.max(1, ...parts.map((part) => part.bytes));
  const longest = Math.max(1, ...shown.map(durationOf));
  const late = parts.filter((part) => (part.late_ms ?? 0) >= LATE_MS).length;
  const worst = Math.max(0, ...parts.map((part) => part.late_ms ?? 0));
  return (
    <section class="panel timeline-panel">
      <div class="panel-head">
        <h2>Parts</h2>
        {parts.length > 0 && (
          <p class="muted timeline-sum">
            {plural(parts.length, 'Part')} · {plural(late, 'late one')} · at most {milliseconds(worst)} late
          </p>
        )}
      </div>
      {error !== null && <Failure error={error} />}
      {parts.length === 0 && error === null && <Empty text="No Part is made yet." />}
      {parts.length > 0 && (
        <>
          <div class="timeline" role="img" aria-label={`The newest ${plural(shown.length, 'Segment')}, Part by Part; the table below has the figures`}>
            {shown.map((segment, index) => (
              <SegmentBlock
                key={segment.sequence}
                segment={segment}
                largest={largest}
                longest={longest}
                growing={index === shown.length - 1}
              />
            ))}
          </div>
          <Legend />
          <PartTable parts={parts} />
        </>
      )}
    </section>
  );
}

function durationOf(segment: Segment): number {
  return segment.parts.reduce((sum, part) => sum + part.duration_ms, 0);
}

interface BlockProps {
  segment: Segment;
  largest: number;
  longest: number;
  growing: boolean;
}

function SegmentBlock({ segment, largest, longest, growing }: BlockProps) {
  return (
    <div class={growing ? 'segment growing' : 'segment'}>
      <div class="segment-parts">
        {segment.parts.map((part) => (
          <div
            key={part.part}
            class={`part ${part.independent ? 'independent' : ''} ${lateness(part)}`}
            style={{ width: `${(part.duration_ms / longest) * 100}%` }}
            title={`Part ${part.sequence}.${part.part}: ${bytes(part.bytes)}, ${milliseconds(part.duration_ms)}, ${milliseconds(part.late_ms)} late`}
          >
            <span class="part-bytes" style={{ height: `${Math.max(6, Math.sqrt(part.bytes / largest) * 100)}%` }} />
            <span class="part-late" style={{ height: `${Math.min(100, ((part.late_ms ?? 0) / VERY_LATE_MS) * 100)}%` }} />
          </div>
        ))}
      </div>
      <div class="segment-name">{segment.sequence}</div>
    </div>
  );
}

function lateness(part: TimedPart): string {
  const late = part.late_ms ?? 0;
  return late >= VERY_LATE_MS ? 'very-late' : late >= LATE_MS ? 'late' : 'punctual';
}

const Legend = () => (
  <ul class="legend" aria-hidden="true">
    <li>
      <i class="swatch swatch-independent" /> starts with a picture of its own
    </li>
    <li>
      <i class="swatch swatch-part" /> Part, its height by its bytes
    </li>
    <li>
      <i class="swatch swatch-late" /> below it: {LATE_MS} ms late or more
    </li>
    <li>
      <i class="swatch swatch-very-late" /> {VERY_LATE_MS} ms or more
    </li>
  </ul>
);

function PartTable({ parts }: { parts: TimedPart[] }) {
  return (
    <details class="part-table">
      <summary>Parts as a table</summary>
      <div class="table-frame">
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">Part</th>
              <th scope="col">Made</th>
              <th scope="col" class="number">Duration</th>
              <th scope="col" class="number">Size</th>
              <th scope="col" class="number">Late by</th>
              <th scope="col" class="wide-only">Independent</th>
            </tr>
          </thead>
          <tbody>
            {[...parts].reverse().map((part) => (
              <tr key={`${part.sequence}.${part.part}`}>
                <th scope="row">
                  {part.sequence}.{part.part}
                </th>
                <td>{timeOfDay(part.at)}</td>
                <td class="number">{milliseconds(part.duration_ms)}</td>
                <td class="number">{bytes(part.bytes)}</td>
                <td class="number">{milliseconds(part.late_ms)}</td>
                <td class="wide-only">{part.independent ? 'yes' : 'no'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
