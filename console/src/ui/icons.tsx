// Small drawings. They are never alone: a word or a label stands beside each.

import type { ComponentChildren } from 'preact';

function Icon({ children, size = 18 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const FeedsIcon = () => (
  <Icon>
    <path d="M8.500 8.500a5 5 0 0 0 0 7M15.500 8.500a5 5 0 0 1 0 7M5.500 5.500a9.200 9.200 0 0 0 0 13M18.500 5.500a9.200 9.200 0 0 1 0 13" />
    <circle cx="12" cy="12" r="1.500" fill="currentColor" />
  </Icon>
);
export const ChannelsIcon = () => (
  <Icon>
    <rect x="3" y="5" width="18" height="12" rx="2" />
    <path d="m10 8.500 4.500 2.500-4.500 2.500zM8 20.500h8" />
  </Icon>
);
export const SessionsIcon = () => (
  <Icon>
    <circle cx="6" cy="12" r="2.250" />
    <circle cx="18" cy="5.500" r="2.250" />
    <circle cx="18" cy="18.500" r="2.250" />
    <path d="m8 11 8-4.500M8 13l8 4.500" />
  </Icon>
);
export const EventsIcon = () => (
  <Icon>
    <path d="M9 6h12M9 12h12M9 18h8" />
    <path d="M4 6h.01M4 12h.01M4 18h.01" stroke-width="2.500" />
  </Icon>
);
export const ConfigIcon = () => (
  <Icon>
    <path d="M4 7h9M19 7h1M4 17h1M11 17h9" />
    <circle cx="16" cy="7" r="2.500" />
    <circle cx="8" cy="17" r="2.500" />
  </Icon>
);
export const SearchIcon = () => (
  <Icon size={16}>
    <circle cx="11" cy="11" r="6.500" />
    <path d="m16 16 4.500 4.500" />
  </Icon>
);
export const ThemeIcon = ({ theme }: { theme: 'system' | 'dark' | 'light' }) => (
  <Icon>
    {theme === 'dark' && <path d="M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z" />}
    {theme === 'light' && (
      <>
        <circle cx="12" cy="12" r="4" />
        <path d="M12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M5.600 18.400l1.100-1.100M17.300 6.700l1.100-1.100" />
      </>
    )}
    {theme === 'system' && (
      <>
        <circle cx="12" cy="12" r="8" />
        <path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" />
      </>
    )}
  </Icon>
);
export const HelpIcon = () => (
  <Icon>
    <rect x="2.500" y="6" width="19" height="12" rx="2" />
    <path d="M6 10h.01M10 10h.01M14 10h.01M18 10h.01M7.500 14h9" stroke-width="2" />
  </Icon>
);
export const SignOutIcon = () => (
  <Icon>
    <path d="M14 4H6a1.500 1.500 0 0 0-1.500 1.500v13A1.500 1.500 0 0 0 6 20h8M10 12h10.500M17 8.500l3.500 3.500-3.500 3.500" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m6 6 12 12M18 6 6 18" />
  </Icon>
);
export const BackIcon = () => (
  <Icon size={16}>
    <path d="m14.500 5-7 7 7 7" />
  </Icon>
);
export const LockIcon = () => (
  <Icon size={14}>
    <rect x="5" y="10.500" width="14" height="9.500" rx="2" />
    <path d="M8 10.500V8a4 4 0 0 1 8 0v2.500" />
  </Icon>
);

/** The torch. */
export const Flame = () => (
  <svg class="flame" width="24" height="24" viewBox="0 0 24 24" aria-hidden="true">
    <path
      class="flame-outer"
      d="M12.600 1.800c.7 3.600-1 5.300-2.900 7.200C7.700 11 6 12.900 6 15.700A6.200 6.200 0 0 0 12.200 22c3.500 0 6-2.700 6-6 0-3-1.700-4.600-2.200-7.200-1.100.7-1.700 1.700-1.800 2.900-.1-3.700-.2-6.900-1.600-9.900z"
    />
    <path
      class="flame-inner"
      d="M12.300 13.200c.2 1.600-2.300 2.500-2.300 4.800a2.300 2.300 0 0 0 4.600 0c0-2.200-1.700-2.700-2.300-4.800z"
    />
  </svg>
);
