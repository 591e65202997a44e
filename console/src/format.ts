// Numbers as people read them, always with their unit.

const NONE = '–';
const THIN = '\u202f';

export function bitRate(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)}${THIN}Gb/s`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e8 ? 0 : value >= 1e7 ? 1 : 2)}${THIN}Mb/s`;
  if (value >= 1e3) return `${(value / 1e3).toFixed(0)}${THIN}kb/s`;
  return `${Math.round(value)}${THIN}b/s`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), units.length - 1);
  const scaled = value / 1000 ** power;
  return `${scaled.toFixed(power === 0 || scaled >= 100 ? 0 : 1)}${THIN}${units[power]}`;
}

/** Of a fraction. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const scaled = value * 100;
  if (scaled > 0 && scaled < 0.01) return `<${THIN}0.01${THIN}%`;
  return `${scaled.toFixed(scaled >= 10 ? 1 : 2)}${THIN}%`;
}

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}${THIN}ms`;
}

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return `${value.toFixed(2)}${THIN}s`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : value.toLocaleString('en-GB');
}

/** `one` or `many`, after the number: `plural(2, 'feed')`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** How long, in its two greatest units. */
export function duration(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(total / 86_400), Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60];
  const units = ['d', 'h', 'min', 's'];
  const first = parts.findIndex((part) => part > 0);
  if (first < 0) return `0${THIN}s`;
  const next = parts[first + 1];
  const great = `${parts[first]}${THIN}${units[first]}`;
  return next === undefined || first === 2 && (parts[first] ?? 0) >= 10 ? great : `${great} ${next}${THIN}${units[first + 1]}`;
}

/** The time of day in UTC, to the second: venue, node and broadcaster share it. */
export function timeOfDay(iso: string | null | undefined): string {
  return iso ? iso.slice(11, 19) : NONE;
}

/** Date and time of day in UTC. */
export function moment(iso: string | null | undefined): string {
  return iso ? `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC` : NONE;
}
