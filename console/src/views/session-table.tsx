import { useState } from 'preact/hooks';
import * as api from '../api/client';
import type { Session } from '../api/types';
import { bitRate, bytes, count, duration, milliseconds, moment, percent } from '../format';
import { now } from '../state/clock';
import { lossSeverity } from '../state/health';
import { href } from '../state/route';
import { announce } from '../ui/announcer';
import { Dialog } from '../ui/dialog';
import { Failure } from '../ui/empty';
import { LockIcon } from '../ui/icons';
import { severityTone } from '../ui/state';

const KINDS = { publish: 'Publishes', pull: 'Pulls', watch: 'Watches' };
const PROTOCOLS = { srt: 'SRT', hls: 'HLS', dash: 'DASH' };

/** Who is there, since when, and what passes. */
export function SessionTable({ list, label }: { list: Session[]; label: string }) {
  return (
    <div class="table-frame">
      <table class="grid cards sessions" role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            <th scope="col" role="columnheader">Who</th>
            <th scope="col" role="columnheader">What</th>
            <th scope="col" role="columnheader" class="number">For</th>
            <th scope="col" role="columnheader" class="number">Bit rate</th>
            <th scope="col" role="columnheader" class="number">In all</th>
            <th scope="col" role="columnheader" class="number">Loss</th>
            <th scope="col" role="columnheader" class="number">RTT</th>
            <th scope="col" role="columnheader" class="number">Latency</th>
            <th scope="col" role="columnheader">
              <span class="hidden">End</span>
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.map((session) => (
            <SessionRow key={session.id} session={session} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SessionRow({ session }: { session: Session }) {
  const view = session.kind === 'watch' ? 'channels' : 'feeds';
  const repaired = session.retransmitted ? `${count(session.retransmitted)} packets sent again` : undefined;
  return (
    <tr role="row" data-session={session.id}>
      <th scope="row" role="rowheader" class="c-who">
        <span class="name">
          {session.user ?? session.peer}
          {session.encrypted && (
            <span class="lock" title="Encrypted">
              <LockIcon />
              <span class="hidden">encrypted</span>
            </span>
          )}
        </span>
        <span class="sub">
          {session.user ? `${session.peer} · ` : ''}
          {session.agent ?? session.id}
        </span>
      </th>
      <td role="cell" class="c-what">
        {KINDS[session.kind]}{' '}
        <a class="inline-link" data-row href={href(view, session.resource)}>
          {session.resource}
        </a>
        <span class="sub">
          {PROTOCOLS[session.protocol]}
          {session.state ? ` · ${session.state}` : ''}
        </span>
      </td>
      <td role="cell" class="number" data-label="For" title={`since ${moment(session.since)}`}>
        {duration(now.value - Date.parse(session.since))}
      </td>
      <td role="cell" class="number" data-label="Bit rate">{bitRate(session.bit_rate)}</td>
      <td role="cell" class="number" data-label="In all">{bytes(session.bytes)}</td>
      <td
        role="cell"
        class={`number tone-${severityTone(lossSeverity(session.loss))}`}
        data-label="Loss"
        title={repaired}
      >
        {percent(session.loss)}
      </td>
      <td role="cell" class="number" data-label="RTT">{milliseconds(session.rtt_ms)}</td>
      <td role="cell" class="number" data-label="Latency">{milliseconds(session.latency_ms)}</td>
      <td role="cell" class="c-end">
        <EndButton session={session} />
      </td>
    </tr>
  );
}

/** Asks before it ends, and names whom. */
export function EndButton({ session }: { session: Session }) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <button type="button" class="small" aria-label={`End ${nameOf(session)}`} onClick={() => setAsking(true)}>
        End
      </button>
      {asking && <EndDialog session={session} onClose={() => setAsking(false)} />}
    </>
  );
}

function EndDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const end = async () => {
    setBusy(true);
    try {
      await api.endSession(session.id);
      announce(`The session of ${nameOf(session)} is ended.`);
      onClose();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="End this session?"
      onClose={onClose}
      actions={
        <>
          <button type="button" onClick={onClose}>
            Keep it
          </button>
          <button type="button" class="danger" disabled={busy} onClick={() => void end()}>
            End the session
          </button>
        </>
      }
    >
      <p>
        <strong>{session.user ?? session.peer}</strong> {KINDS[session.kind].toLowerCase()}{' '}
        <strong>{session.resource}</strong> over {PROTOCOLS[session.protocol]} from {session.peer}, for{' '}
        {duration(now.value - Date.parse(session.since))}.
      </p>
      <p class="muted">{CONSEQUENCES[session.kind]}</p>
      {error !== null && <Failure error={error} />}
    </Dialog>
  );
}

const CONSEQUENCES = {
  publish: 'The feed waits for its venue, and everyone who takes it waits too. An encoder usually calls again by itself.',
  pull: 'The broadcaster loses this feed. Its receiver usually calls again by itself.',
  watch: 'The player is turned away for a minute.',
};

function nameOf(session: Session): string {
  return `${session.user ?? session.peer}, ${KINDS[session.kind].toLowerCase()} ${session.resource}`;
}
