import { useState } from 'preact/hooks';
import * as api from '../api/client';
import { Refused } from '../api/client';
import type { Drop, Revision } from '../api/types';
import { moment, plural } from '../format';
import { current, discard, load, revisions } from '../state/draft';
import { announce } from '../ui/announcer';
import { Dialog } from '../ui/dialog';
import { Failure } from '../ui/empty';
import { Mark } from '../ui/state';
import { Agree } from './config-apply';

/** What the configuration was, and the way back to it. */
export function Revisions() {
  const [compared, setCompared] = useState<Compared | null>(null);
  const [restoring, setRestoring] = useState<Revision | null>(null);
  const list = revisions.value;
  const compare = async (revision: Revision) => {
    const against = current.peek()?.revision ?? revision.revision;
    const diff = await api.diff(revision.revision, against).catch((error: unknown) => error);
    setCompared({ revision, against, diff });
  };
  return (
    <section class="panel flush">
      <h2>Revisions</h2>
      <div class="table-frame">
        <table class="grid cards" role="table" aria-label={plural(list.length, 'revision')}>
          <thead role="rowgroup">
            <tr role="row">
              <th scope="col" role="columnheader">Revision</th>
              <th scope="col" role="columnheader">Applied</th>
              <th scope="col" role="columnheader">By</th>
              <th scope="col" role="columnheader">Comment</th>
              <th scope="col" role="columnheader">
                <span class="hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            {list.map((revision) => (
              <tr role="row" key={revision.revision} data-revision={revision.revision}>
                <th scope="row" role="rowheader">
                  {revision.revision} {revision.current && <span class="badge tone-ok">Current</span>}
                  {revision.broken && (
                    <span class="badge tone-bad" title={revision.broken}>
                      Broken
                    </span>
                  )}
                </th>
                <td role="cell" data-label="Applied">{moment(revision.at)}</td>
                <td role="cell" data-label="By">{revision.by ?? '–'}</td>
                <td role="cell" data-label="Comment">{revision.comment || '–'}</td>
                <td role="cell" class="c-end">
                  {!revision.current && !revision.broken && (
                    <span class="actions">
                      <button type="button" class="small" aria-label={`Compare revision ${revision.revision} with the current one`} onClick={() => void compare(revision)}>
                        Compare
                      </button>
                      <button type="button" class="small" aria-label={`Restore revision ${revision.revision}`} onClick={() => setRestoring(revision)}>
                        Restore…
                      </button>
                    </span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {compared && <DiffDialog {...compared} onClose={() => setCompared(null)} />}
      {restoring && <RestoreDialog revision={restoring} onClose={() => setRestoring(null)} />}
    </section>
  );
}

interface Compared {
  revision: Revision;
  against: number;
  /** The unified text, or what went wrong. */
  diff: unknown;
}

function DiffDialog({ revision, against, diff, onClose }: Compared & { onClose: () => void }) {
  return (
    <Dialog title={`From revision ${against} to revision ${revision.revision}`} onClose={onClose} wide>
      {typeof diff === 'string' ? <Diff text={diff} /> : <Failure error={diff} />}
    </Dialog>
  );
}

/** Added and removed lines keep their signs: colour is not all there is. */
export function Diff({ text }: { text: string }) {
  const lines = text.replace(/\n$/, '').split('\n');
  if (!text.trim()) return <p class="muted">They are the same.</p>;
  return (
    <pre class="diff" tabIndex={0} role="region" aria-label="Differences">
      {lines.map((line, index) => (
        <span key={index} class={`diff-line ${kind(line)}`}>
          {line || ' '}
        </span>
      ))}
    </pre>
  );
}

function kind(line: string): string {
  if (/^(\+\+\+|---|@@)/.test(line)) return 'diff-head';
  if (line.startsWith('+')) return 'diff-added';
  if (line.startsWith('-')) return 'diff-removed';
  return '';
}

function RestoreDialog({ revision, onClose }: { revision: Revision; onClose: () => void }) {
  const [drops, setDrops] = useState<Drop[]>([]);
  const [agreed, setAgreed] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const restore = async () => {
    setBusy(true);
    try {
      const { revision: made } = await api.restore(revision.revision, drops.length > 0);
      discard();
      await load();
      announce(`Revision ${revision.revision} is restored, as revision ${made}.`);
      onClose();
    } catch (refused) {
      if (refused instanceof Refused && refused.problem.drops?.length) {
        setDrops(refused.problem.drops);
        setError(null);
      } else {
        setError(refused);
      }
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Restore revision ${revision.revision}?`}
      onClose={onClose}
      actions={
        <>
          <button type="button" onClick={onClose}>
            Go back
          </button>
          <button
            type="button"
            class={drops.length > 0 ? 'danger' : 'primary'}
            disabled={busy || (drops.length > 0 && !agreed)}
            onClick={() => void restore()}
          >
            {drops.length > 0 ? 'Restore, and drop them' : 'Restore'}
          </button>
        </>
      }
    >
      <p>
        The node goes by it again as it was applied on {moment(revision.at)}. The present text stays in the list.
      </p>
      {drops.length > 0 && (
        <>
          <ul class="drops">
            {drops.map((drop) => (
              <li key={`${drop.kind} ${drop.id}`}>
                <Mark tone="bad" /> {drop.kind} <strong>{drop.id}</strong>: {drop.why}
              </li>
            ))}
          </ul>
          <Agree drops={drops} agreed={agreed} onAgree={setAgreed} />
        </>
      )}
      {error !== null && <Failure error={error} />}
    </Dialog>
  );
}
