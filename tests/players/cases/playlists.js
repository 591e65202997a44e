// Playlists and Manifests as others' parsers and validators read them, and what they promise kept.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import HLS from 'hls-parser';
import { Parser } from 'm3u8-parser';
import { parse as parseManifest } from 'mpd-parser';

import { run } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { text } from '../harness/server.js';

const RELOADS = 20;
// A Part is as long as promised to the microsecond of the Playlist's own rounding.
const ROUNDING_S = 0.000_01;
const SCHEMA = fileURLToPath(new URL('../schema/manifest.rng', import.meta.url));

// In this mode what breaks a rule throws instead of being written to the console.
HLS.setOptions({ strictMode: true });

export async function playlistsParse({ report, server, feed }) {
  const channel = server.channel(feed);
  await report.case('hls-parser and m3u8-parser read every Playlist', () => parsersRead(channel));
  await report.case('Playlists keep the rules of HLS while they grow', () => reloads(channel));
  await report.case('xmllint finds the Manifest valid', () => manifestIsValid(server, channel));
  await report.case('mpd-parser reads the Manifest, and its Segments are there', () => manifestHolds(channel));
}

/** The multivariant Playlist, its variants but for those of I-frames, and each media Playlist by its address. */
export async function playlists(channel) {
  const address = `${channel}/index.m3u8`;
  const multivariant = HLS.parse(await text(address));
  const variants = multivariant.variants.filter(({ isIFrameOnly }) => !isIFrameOnly);
  const uris = variants.flatMap(({ uri, audio }) => [uri, ...audio.map((rendition) => rendition.uri)]);
  return { address, multivariant, variants, media: [...new Set(uris)].map((uri) => new URL(uri, address).href) };
}

async function parsersRead(channel) {
  const { address, variants, media } = await playlists(channel);
  const faults = [];
  for (const { codecs, resolution, frameRate, bandwidth, averageBandwidth, audio } of variants) {
    if (!codecs?.includes('avc1.') || !codecs.includes('mp4a.40.2')) faults.push(`CODECS ${codecs}`);
    if (resolution?.width !== 1280 || resolution.height !== 720) faults.push('RESOLUTION is not 1280x720');
    if (frameRate !== 25) faults.push(`FRAME-RATE ${frameRate}`);
    if (!(bandwidth > 1_500_000 && bandwidth < 6_000_000)) faults.push(`BANDWIDTH ${bandwidth}`);
    if (!(averageBandwidth <= bandwidth)) faults.push(`AVERAGE-BANDWIDTH ${averageBandwidth} of ${bandwidth}`);
    if (audio.length !== 2) faults.push(`${audio.length} audio Renditions`);
  }
  let parts = 0;
  for (const url of [address, ...media]) {
    const body = await text(url);
    const first = HLS.parse(body);
    const second = secondOpinion(body, (message) => faults.push(`${url}: ${message}`));
    if (first.isMasterPlaylist) continue;
    const whole = first.segments.filter(({ uri }) => uri).length;
    if (second.segments.length !== whole) faults.push(`${url}: ${second.segments.length} Segments, and ${whole}`);
    parts += first.segments.flatMap((segment) => segment.parts).length;
    if (!second.serverControl?.canBlockReload) faults.push(`${url}: no blocking reload`);
    if (!first.segments.at(-1).uri && !second.preloadSegment?.preloadHints?.length) faults.push(`${url}: no preload hint`);
    if (!second.segments.every(({ dateTimeObject }) => dateTimeObject)) faults.push(`${url}: no PROGRAM-DATE-TIME`);
  }
  demand(faults);
  return { playlists: media.length + 1, parts };
}

/** What m3u8-parser reads; it complains by events. */
export function secondOpinion(body, complain) {
  const parser = new Parser();
  for (const event of ['warn', 'error']) parser.on(event, ({ message }) => complain(message));
  parser.push(body);
  parser.end();
  return parser.manifest;
}

/** Follows the video's Playlist by blocking reloads, as a low-latency player does. */
async function reloads(channel) {
  const { media } = await playlists(channel);
  const address = media[0];
  const faults = [];
  const told = new Map();
  const waits = [];
  let last = HLS.parse(await text(address));
  for (let n = 0; n < RELOADS; n += 1) {
    for (const fault of mediaFaults(last, told)) faults.push(fault);
    const [sequence, part] = nextPart(last);
    const asked = performance.now();
    last = HLS.parse(await text(`${address}?_HLS_msn=${sequence}&_HLS_part=${part}`));
    waits.push(performance.now() - asked);
    const [newSequence, newPart] = nextPart(last);
    if (newSequence < sequence || (newSequence === sequence && newPart <= part)) {
      faults.push(`asked for Part ${part} of ${sequence}, the next is still ${newPart} of ${newSequence}`);
    }
  }
  await Promise.all(listed(last, address).map((object) => objectFaults(object).then((f) => faults.push(...f))));
  demand([...new Set(faults)]);
  const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length;
  return { reloads: RELOADS, wait: `${Math.round(mean)} ms`, 'part target': `${last.partTargetDuration} s` };
}

/** The Media Sequence Number and Part that come next. */
export function nextPart(playlist) {
  const segment = playlist.segments.at(-1);
  if (segment.uri) return [segment.mediaSequenceNumber + 1, 0];
  return [segment.mediaSequenceNumber, segment.parts.filter(({ hint }) => !hint).length];
}

function* mediaFaults(playlist, told) {
  for (const segment of playlist.segments) {
    const { uri, duration, mediaSequenceNumber: number, programDateTime, parts } = segment;
    const real = parts.filter(({ hint }) => !hint);
    for (const part of real) {
      // RFC 8216bis 4.4.4.9: no longer than the target, and but for the last of a Segment at least 85 % of it.
      const isLast = uri && part === real.at(-1);
      if (part.duration > playlist.partTargetDuration + ROUNDING_S) yield `a Part of ${part.duration} s`;
      if (!isLast && part.duration < playlist.partTargetDuration * 0.85) yield `a Part of only ${part.duration} s`;
    }
    if (!uri) continue;
    // RFC 8216bis 4.4.3.1: rounded, no longer than the target.
    if (Math.round(duration) > playlist.targetDuration) yield `a Segment of ${duration} s`;
    const sum = real.reduce((all, part) => all + part.duration, 0);
    // Its length is told in whole milliseconds, theirs to the microsecond.
    if (real.length && Math.abs(sum - duration) > 0.0012) yield `Segment of ${duration} s, its Parts of ${sum} s`;
    // RFC 8216bis 6.2.1: what was told stays as it was.
    const line = `${uri} ${duration} ${programDateTime?.toISOString()}`;
    if ((told.get(number) ?? line) !== line) yield `Segment ${number} was ${told.get(number)} and is ${line}`;
    told.set(number, line);
    const before = told.get(number - 1)?.split(' ');
    if (before) {
      const gap = (programDateTime - new Date(before[2])) / 1000 - Number(before[1]);
      if (Math.abs(gap) > 0.0005) yield `PROGRAM-DATE-TIME of ${number} is ${gap} s from the end of the one before`;
    }
  }
}

/** Whatever the Playlist says is there. */
function listed(playlist, address) {
  const uris = playlist.segments.flatMap(({ uri, map, parts }) => [
    uri,
    map?.uri,
    ...parts.filter(({ hint }) => !hint).map((part) => part.uri),
  ]);
  return [...new Set(uris.filter(Boolean))].map((uri) => new URL(uri, address).href);
}

async function objectFaults(url) {
  const response = await fetch(url);
  const body = await response.arrayBuffer();
  const faults = [];
  if (response.status !== 200) faults.push(`${response.status} for ${url}`);
  if (!body.byteLength) faults.push(`nothing at ${url}`);
  if (!/^(video|audio)\/mp4/.test(response.headers.get('content-type'))) faults.push(`no media type for ${url}`);
  if (!/max-age=\d+/.test(response.headers.get('cache-control') ?? '')) faults.push(`no Cache-Control for ${url}`);
  return faults;
}

/**
 * By the schema of this directory, and by the standard's own where FLAMBEAU_DASH_XSD names it (its imports have to
 * be found too: XML_CATALOG_FILES).
 */
async function manifestIsValid(server, channel) {
  const file = join(server.directory, 'manifest.mpd');
  writeFileSync(file, await text(`${channel}/manifest.mpd`));
  await run('xmllint', ['--nonet', '--noout', '--relaxng', SCHEMA, file]);
  const standard = process.env.FLAMBEAU_DASH_XSD;
  if (!standard) return { schema: 'manifest.rng' };
  await run('xmllint', ['--nonet', '--noout', '--schema', standard, file]);
  return { schema: 'manifest.rng and DASH-MPD.xsd' };
}

async function manifestHolds(channel) {
  const faults = [];
  const address = `${channel}/manifest.mpd`;
  const body = await text(address);
  const now = Date.now() / 1000;
  const told = (event) => event.type === 'warn' && faults.push(event.message);
  const manifest = parseManifest(body, { manifestUri: address, eventHandler: told });
  const sounds = Object.entries(manifest.mediaGroups.AUDIO.audio ?? {});
  const renditions = [...manifest.playlists, ...sounds.flatMap(([, { playlists: all }]) => all)];
  const languages = sounds.map(([, { language }]) => language);
  if (sounds.length !== 2) faults.push(`audio in the languages ${languages}`);

  for (const { segments, attributes } of renditions) {
    const name = attributes.NAME;
    segments.reduce((before, next) => {
      const gap = next.presentationTime - before.presentationTime - before.duration;
      if (Math.abs(gap) > 0.001) faults.push(`${name}: ${gap} s between two Segments`);
      return next;
    });
    const { presentationTime, duration } = segments.at(-1);
    const age = now - presentationTime - duration;
    if (age < -0.5) faults.push(`${name}: the newest Segment ends in ${-age} s`);
    if (age > 5) faults.push(`${name}: the newest Segment ended ${age} s ago`);
    for (const segment of [segments.at(0), segments.at(-1)]) {
      faults.push(...(await objectFaults(segment.resolvedUri)), ...(await objectFaults(segment.map.resolvedUri)));
    }
  }
  faults.push(...(await clockFaults(body, address)));
  demand(faults);
  return { renditions: renditions.length, segments: renditions[0].segments.length, languages: languages.join('+') };
}

/** The clock that the Manifest names tells this machine's time. */
async function clockFaults(body, address) {
  const [, url] = body.match(/http-iso:2014" value="([^"]+)"/) ?? [];
  if (!url) return ['no UTCTiming'];
  const off = Date.parse(await text(new URL(url, address))) - Date.now();
  return Math.abs(off) < 1_500 ? [] : [`the clock of UTCTiming is ${off} ms off`];
}
