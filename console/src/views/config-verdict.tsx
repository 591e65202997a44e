import type { Check, ConfigProblem } from '../api/types';
import { plural } from '../format';
import { isError } from '../state/draft';
import { Mark } from '../ui/state';
import { goToLine } from './config-editor';

/** What is wrong, each with its line and its remedy: what forbids the change, then what is only warned of. */
export function Problems({ list }: { list: ConfigProblem[] }) {
  const errors = list.filter(isError);
  const warnings = list.filter((problem) => !isError(problem));
  return (
    <section id="config-problems" aria-label="What the node says">
      {errors.length > 0 ? (
        <>
          <h2>{plural(errors.length, 'problem')}</h2>
          <List list={errors} />
        </>
      ) : (
        <p class="sound">
          <Mark tone="ok" /> The configuration is sound.
        </p>
      )}
      {warnings.length > 0 && (
        <details class="warnings" open={errors.length === 0 && warnings.length <= WARNINGS_SHOWN}>
          <summary>{plural(warnings.length, 'warning')}</summary>
          <List list={warnings} />
        </details>
      )}
    </section>
  );
}

/** More than these are looked at on demand. */
const WARNINGS_SHOWN = 3;

const List = ({ list }: { list: ConfigProblem[] }) => (
  <ul class="problems">
    {list.map((problem, index) => (
      <li key={index} class="problem">
        <Mark tone={isError(problem) ? 'bad' : 'warn'} />
        <div>
          {problem.line !== null && (
            <button type="button" class="link" onClick={() => goToLine(problem.line ?? 1)}>
              Line {problem.line}
            </button>
          )}{' '}
          <code>{problem.key}</code> {problem.message}
          {problem.remedy && <span class="sub">{problem.remedy}</span>}
        </div>
      </li>
    ))}
  </ul>
);

/** What a change does, and whom it cuts off. */
export function Consequences({ check }: { check: Check }) {
  return (
    <>
      {check.changes.length > 0 && (
        <section aria-label="Changes">
          <h2>{plural(check.changes.length, 'change')}</h2>
          <ul class="changes">
            {check.changes.map((change, index) => (
              <li key={index}>
                <strong>{change.subject}</strong> {change.what}
                <span class="sub">{change.effect}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {check.drops.length > 0 && (
        <section class="drops" aria-label="What it drops">
          <h2>
            <Mark tone="bad" /> It drops what is live
          </h2>
          <ul>
            {check.drops.map((drop) => (
              <li key={`${drop.kind} ${drop.id}`}>
                {drop.kind} <strong>{drop.id}</strong>: {drop.why}
              </li>
            ))}
          </ul>
        </section>
      )}
      {check.needs_restart.length > 0 && (
        <p class="notice tone-warn">
          <Mark tone="warn" />
          <span>
            Only a restart of the node takes these up: <code>{check.needs_restart.join(', ')}</code>
          </span>
        </p>
      )}
    </>
  );
}
