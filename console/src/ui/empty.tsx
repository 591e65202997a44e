import type { ComponentChildren } from 'preact';

export function Loading({ what = 'Waiting for the node’s first figures…' }: { what?: string }) {
  return (
    <p class="empty" role="status">
      {what}
    </p>
  );
}

export function Empty({ text, children }: { text: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>{text}</p>
      {children}
    </div>
  );
}

/** Something that was refused or failed, in the node's own words. */
export function Failure({ error }: { error: unknown }) {
  return (
    <p class="refusal" role="alert">
      {error instanceof Error ? error.message : String(error)}
    </p>
  );
}
