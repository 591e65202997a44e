// What stands above a table: a text filter and choices.

import type { ComponentProps } from 'preact';
import { SearchIcon } from './icons';
import { Mark, type Tone } from './state';

interface SearchProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
}

/** The filter of a view; the key `/` leads to it. */
export function Search({ label, value, onInput }: SearchProps) {
  return (
    <label class="search">
      <SearchIcon />
      <span class="hidden">{label}</span>
      <input
        type="search"
        data-filter
        placeholder={label}
        autocomplete="off"
        spellcheck={false}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

export interface Choice<T extends string> {
  value: T;
  word: string;
  tone?: Tone;
  shape?: ComponentProps<typeof Mark>['shape'];
  count?: number;
}

interface ChoicesProps<T extends string> {
  label: string;
  choices: Choice<T>[];
  value: T;
  onChange: (value: T) => void;
}

/** One of a few, each with how many there are. */
export function Choices<T extends string>({ label, choices, value, onChange }: ChoicesProps<T>) {
  return (
    <div class="choices" role="group" aria-label={label}>
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          class="choice"
          aria-pressed={choice.value === value}
          onClick={() => onChange(choice.value)}
        >
          {choice.tone && <Mark tone={choice.tone} shape={choice.shape} />}
          <span>{choice.word}</span>
          {choice.count !== undefined && <span class="count">{choice.count}</span>}
        </button>
      ))}
    </div>
  );
}

interface SortProps<T extends string> {
  column: T;
  word: string;
  sort: Sort<T>;
  onSort: (sort: Sort<T>) => void;
  numeric?: boolean;
}

export interface Sort<T extends string> {
  column: T;
  descending: boolean;
}

/** The head of a column that sorts. */
export function SortHead<T extends string>({ column, word, sort, onSort, numeric }: SortProps<T>) {
  const active = sort.column === column;
  const direction = active ? (sort.descending ? 'descending' : 'ascending') : undefined;
  return (
    <th scope="col" role="columnheader" class={numeric ? 'number' : undefined} aria-sort={direction ?? 'none'}>
      <button
        type="button"
        class="sort"
        onClick={() => onSort({ column, descending: active ? !sort.descending : Boolean(numeric) })}
      >
        {word}
        <svg class="arrow" width="8" height="8" viewBox="0 0 8 8" aria-hidden="true">
          <path d={active && !sort.descending ? 'M4 1 7.500 7h-7z' : 'M4 7 .5 1h7z'} fill="currentColor" />
        </svg>
      </button>
    </th>
  );
}
