// The frame around every view.

import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { signInAsked } from './api/client';
import { helpOpen } from './state/keys';
import { loadNode } from './state/node';
import { href, route, type View } from './state/route';
import { snapshot, unseenErrors } from './state/store';
import { Announcer } from './ui/announcer';
import { ConnectionBanner } from './ui/connection';
import { ChannelsIcon, ConfigIcon, EventsIcon, FeedsIcon, Flame, SessionsIcon } from './ui/icons';
import { Toolbar } from './ui/toolbar';
import { ChannelPage } from './views/channel';
import { Channels } from './views/channels';
import { Configuration } from './views/config';
import { Events } from './views/events';
import { FeedPage } from './views/feed';
import { Feeds } from './views/feeds';
import { Sessions } from './views/sessions';
import { Shortcuts } from './views/shortcuts';
import { SignIn } from './views/sign-in';

const PLACES: { view: View; word: string; icon: () => JSX.Element }[] = [
  { view: 'feeds', word: 'Feeds', icon: FeedsIcon },
  { view: 'channels', word: 'Channels', icon: ChannelsIcon },
  { view: 'sessions', word: 'Sessions', icon: SessionsIcon },
  { view: 'events', word: 'Events', icon: EventsIcon },
  { view: 'config', word: 'Configuration', icon: ConfigIcon },
];

export function App() {
  const asked = signInAsked.value;
  useEffect(() => {
    if (asked === null) void loadNode();
  }, [asked]);
  if (asked !== null) return <SignIn reason={asked} />;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href('feeds')}>
          <Flame />
          <span>Flambeau</span>
        </a>
        <Toolbar />
      </header>
      <Navigation />
      <Main>
        <ConnectionBanner />
        <Current />
      </Main>
      <Announcer />
      {helpOpen.value && <Shortcuts />}
    </>
  );
}

/** The fragment is the route's: the skip link moves the focus alone. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function Navigation() {
  const here = route.value.view;
  return (
    <nav class="places" aria-label="Views">
      <ul>
        {PLACES.map(({ view, word, icon: PlaceIcon }) => (
          <li key={view}>
            <a href={href(view)} aria-current={view === here ? 'page' : undefined}>
              <PlaceIcon />
              <span class="place-word">{word}</span>
              <PlaceCount view={view} />
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function PlaceCount({ view }: { view: View }) {
  if (view === 'events') {
    const errors = unseenErrors.value;
    return errors > 0 ? (
      <span class="count tone-bad">
        {errors > 99 ? '99+' : errors}
        <span class="hidden"> new errors</span>
      </span>
    ) : null;
  }
  if (view === 'config') return null;
  const counted = snapshot.value?.[view].length;
  return counted === undefined ? null : <span class="count">{counted}</span>;
}

/** The focus goes to a new view's heading, so that a screen reader says where it is. */
function Main({ children }: { children: ComponentChildren }) {
  const ref = useRef<HTMLElement>(null);
  const { view, id } = route.value;
  const first = useRef(true);
  useEffect(() => {
    const place = PLACES.find((place) => place.view === view)?.word ?? '';
    document.title = `${id ? `${id} · ` : ''}${place} · Flambeau`;
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    ref.current?.querySelector('h1')?.focus();
  }, [view, id]);
  return (
    <main id="main" tabIndex={-1} ref={ref}>
      {children}
    </main>
  );
}

function Current() {
  const { view, id } = route.value;
  switch (view) {
    case 'feeds':
      return id ? <FeedPage key={id} id={id} /> : <Feeds />;
    case 'channels':
      return id ? <ChannelPage key={id} id={id} /> : <Channels />;
    case 'sessions':
      return <Sessions />;
    case 'events':
      return <Events />;
    case 'config':
      return <Configuration />;
  }
}
