import { useEffect, useRef } from 'preact/hooks';
import type { ConfigProblem } from '../api/types';
import { isError } from '../state/draft';

interface Props {
  text: string;
  onEdit: (text: string) => void;
  problems: ConfigProblem[];
  readOnly: boolean;
}

const EDITOR = 'config-text';

/** A plain text field with numbered lines. Tab leaves it, as everywhere. */
export function Editor({ text, onEdit, problems, readOnly }: Props) {
  const lines = text.split('\n').length;
  // Of an error and a warning on one line the error is drawn.
  const ordered = [...problems].sort((a, b) => Number(isError(a)) - Number(isError(b)));
  const wrong = new Map(ordered.map((problem) => [problem.line, isError(problem)]));
  const numbers = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    // A text put in from outside leaves the field where it was; the numbers follow.
    if (numbers.current && field.current) numbers.current.scrollTop = field.current.scrollTop;
  }, [text]);
  return (
    <div class="editor">
      <div class="line-numbers" ref={numbers} aria-hidden="true">
        {Array.from({ length: lines }, (_, index) => {
          const fatal = wrong.get(index + 1);
          return (
            <div key={index} class={fatal === undefined ? 'line-number' : `line-number ${fatal ? 'tone-bad' : 'tone-warn'} marked`}>
              {index + 1}
            </div>
          );
        })}
      </div>
      <textarea
        id={EDITOR}
        ref={field}
        aria-label="Configuration, TOML"
        aria-invalid={problems.some(isError) ? 'true' : undefined}
        aria-describedby={problems.length > 0 ? 'config-problems' : undefined}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        wrap="off"
        rows={24}
        readOnly={readOnly}
        value={text}
        onInput={(event) => onEdit(event.currentTarget.value)}
        onScroll={(event) => {
          if (numbers.current) numbers.current.scrollTop = event.currentTarget.scrollTop;
        }}
      />
    </div>
  );
}

/** Puts the caret on a line and shows it. */
export function goToLine(line: number): void {
  const field = document.getElementById(EDITOR);
  if (!(field instanceof HTMLTextAreaElement)) return;
  const lines = field.value.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  field.focus();
  field.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  const height = field.scrollHeight / Math.max(1, lines.length);
  field.scrollTop = Math.max(0, (line - 1) * height - field.clientHeight / 2);
}
