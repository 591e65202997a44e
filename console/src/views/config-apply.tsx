import { useState } from 'preact/hooks';
import * as api from '../api/client';
import { Refused } from '../api/client';
import type { Check, Drop } from '../api/types';
import { current, draft, load } from '../state/draft';
import { announce } from '../ui/announcer';
import { Dialog } from '../ui/dialog';
import { Failure } from '../ui/empty';
import { Consequences } from './config-verdict';

interface Props {
  found: Check;
  onClose: () => void;
}

/** The last look before a change is made. What drops a live channel is asked for in so many words. */
export function ApplyDialog({ found, onClose }: Props) {
  const [comment, setComment] = useState('');
  const [drops, setDrops] = useState(found.drops);
  const [agreed, setAgreed] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const apply = async () => {
    setBusy(true);
    try {
      const { revision } = await api.apply(draft.peek(), comment, drops.length > 0, current.peek()?.revision ?? null);
      current.value = current.peek() && { ...(current.peek() as NonNullable<typeof current.value>), text: draft.peek(), revision };
      await load();
      announce(revision === null ? 'Applied.' : `Applied as revision ${revision}.`);
      onClose();
    } catch (refused) {
      // It may have gone live since the check.
      if (refused instanceof Refused && refused.problem.drops?.length) setDrops(refused.problem.drops);
      if (refused instanceof Refused && refused.status === 412) await load();
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="Apply this configuration?"
      onClose={onClose}
      wide
      actions={
        <>
          <button type="button" onClick={onClose}>
            Go back
          </button>
          <button
            type="button"
            class={drops.length > 0 ? 'danger' : 'primary'}
            disabled={busy || (drops.length > 0 && !agreed)}
            onClick={() => void apply()}
          >
            {drops.length > 0 ? 'Apply, and drop them' : 'Apply'}
          </button>
        </>
      }
    >
      {found.changes.length === 0 && <p>Nothing that the node acts on changes.</p>}
      <Consequences check={{ ...found, drops }} />
      {drops.length > 0 && <Agree drops={drops} agreed={agreed} onAgree={setAgreed} />}
      <label class="field">
        <span>Comment, for the list of revisions</span>
        <input type="text" maxLength={200} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
      </label>
      {error instanceof Refused && error.status === 412 ? (
        <p class="refusal" role="alert">
          Somebody applied another revision meanwhile. Your text is kept: go back, compare it with the present revision, and
          apply it again.
        </p>
      ) : (
        error !== null && <Failure error={error} />
      )}
    </Dialog>
  );
}

interface AgreeProps {
  drops: Drop[];
  agreed: boolean;
  onAgree: (agreed: boolean) => void;
}

export function Agree({ drops, agreed, onAgree }: AgreeProps) {
  const names = drops.map((drop) => `${drop.kind} ${drop.id}`).join(', ');
  return (
    <label class="tick agree">
      <input type="checkbox" checked={agreed} onChange={(event) => onAgree(event.currentTarget.checked)} />
      <span>I know that this cuts off {names}</span>
    </label>
  );
}
