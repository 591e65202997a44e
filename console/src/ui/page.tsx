import { href, type View } from '../state/route';
import { BackIcon } from './icons';
import { State } from './state';

interface Props {
  view: View;
  /** What the list is called that this page belongs to. */
  list: string;
  id: string;
  label?: string | null | undefined;
  look?: Parameters<typeof State>[0]['look'] | undefined;
}

/** The head of a page of one thing: the way back, its name, its state. */
export function PageHead({ view, list, id, label, look }: Props) {
  return (
    <header class="view-head page-head">
      <a class="back" href={href(view)}>
        <BackIcon />
        {list}
      </a>
      <h1 tabIndex={-1}>
        {label ?? id}
        {label && <span class="sub">{id}</span>}
      </h1>
      {look && <State look={look} />}
    </header>
  );
}
