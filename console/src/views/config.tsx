import { useEffect, useState } from 'preact/hooks';
import * as api from '../api/client';
import { Refused } from '../api/client';
import { plural } from '../format';
import { changed, check, current, discard, draft, edit, failure, isError, isRefused, load, verdict } from '../state/draft';
import { announce } from '../ui/announcer';
import { Empty, Failure, Loading } from '../ui/empty';
import { ApplyDialog } from './config-apply';
import { goToLine, Editor } from './config-editor';
import { Consequences, Problems } from './config-verdict';
import { Revisions } from './revisions';

/** The node's configuration: what it is, what a change would do, and what it was. */
export function Configuration() {
  useEffect(() => void load(), []);
  const known = current.value;
  if (known && known.path === null) return <Lab />;
  return (
    <>
      <header class="view-head">
        <h1 tabIndex={-1}>
          Configuration
          {known && <span class="sub">{known.path}</span>}
        </h1>
        {known && known.revision !== null && <span class="badge">Revision {known.revision}</span>}
        {changed.value && <span class="badge tone-warn">Not applied</span>}
      </header>
      {!known && failure.value === null && <Loading what="Asking for the configuration…" />}
      {!known && failure.value !== null && <Failure error={failure.value} />}
      {known && <Desk />}
      {known && <Revisions />}
    </>
  );
}

function Lab() {
  return (
    <>
      <header class="view-head">
        <h1 tabIndex={-1}>Configuration</h1>
      </header>
      <Empty text="This node is in lab mode: it runs without a configuration, on loopback only.">
        <p>
          <code>flambeau run CONFIG.toml</code> runs one that can be changed here.
        </p>
      </Empty>
    </>
  );
}

function Desk() {
  const [applying, setApplying] = useState(false);
  const writable = current.value?.writable ?? false;
  const found = verdict.value;
  const look = async () => {
    const found = await check();
    if (!found) return;
    const errors = found.problems.filter(isError);
    announce(summary(errors.length, found.changes.length));
    const line = errors.find((problem) => problem.line)?.line;
    if (line) goToLine(line);
  };
  const apply = async () => {
    const found = await check();
    if (found && !isRefused(found)) setApplying(true);
    else if (found) announce(summary(found.problems.filter(isError).length, 0));
  };
  return (
    <section class="panel desk" aria-label="Text">
      <Editor text={draft.value} onEdit={edit} problems={found?.problems ?? []} readOnly={!writable} />
      <div class="desk-actions">
        <button type="button" class="primary" disabled={!changed.value || !writable} onClick={() => void apply()}>
          Apply…
        </button>
        <button type="button" onClick={() => void look()}>
          Check
        </button>
        <button type="button" disabled={!changed.value} onClick={discard}>
          Discard the changes
        </button>
        <Reload />
      </div>
      {!writable && <p class="muted">The node may not write this file: change it there, then read it again.</p>}
      {failure.value !== null && <Failure error={failure.value} />}
      {found && (
        <div class="verdict">
          <Problems list={found.problems} />
          <Consequences check={found} />
        </div>
      )}
      {applying && found && <ApplyDialog found={found} onClose={() => setApplying(false)} />}
    </section>
  );
}

/** As SIGHUP: for a file that was changed on the node. */
function Reload() {
  const [error, setError] = useState<unknown>(null);
  const act = async () => {
    try {
      const { revision } = await api.reload();
      setError(null);
      await load();
      announce(`The file was read again: revision ${revision}.`);
    } catch (refused) {
      setError(refused);
      if (refused instanceof Refused && refused.problem.problems) {
        verdict.value = { changes: [], drops: [], needs_restart: [], problems: refused.problem.problems };
      }
    }
  };
  return (
    <>
      <button type="button" onClick={() => void act()}>
        Read the file again
      </button>
      {error !== null && <Failure error={error} />}
    </>
  );
}

function summary(problems: number, changes: number): string {
  if (problems > 0) return `${plural(problems, 'problem')} in the configuration.`;
  return `The configuration is sound, with ${plural(changes, 'change')}.`;
}
