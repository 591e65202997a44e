// What a Playlist holds beyond Segments and Parts: Delta Updates, key frames, gaps, date ranges, as others read it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import HLS from 'hls-parser';

import { run, sleep, until } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { text } from '../harness/server.js';
import { nextPart, playlists, secondOpinion } from './playlists.js';

export const GAPS = 'a venue that was away leaves gaps that parsers read';
const DELTAS = 5;
const TOGETHER_MAX = 5;
// Longer than a Segment, and given up.
const AWAY_MS = 5_000;
const SEGMENT_AFTER_MS = 4_000;

/** Of an ordinary feed: what each of its Playlists has. */
export async function tagsParse({ report, server, feed }) {
  const channel = server.channel(feed);
  await report.case('a Playlist Delta Update says what the whole Playlist says', () => deltas(channel));
  await report.case('the I-frame Playlist leads to key frames', () => keyFrames(server, channel));
}

/** A player that has the Playlist asks for what is new of it, by blocking reload. */
async function deltas(channel) {
  const { media } = await playlists(channel);
  const faults = [];
  let skipped = 0;
  for (const address of media) {
    let whole = await text(address);
    for (let n = 0; n < DELTAS; n += 1) {
      const [sequence, part] = nextPart(HLS.parse(whole));
      const query = `?_HLS_msn=${sequence}&_HLS_part=${part}`;
      const { next, delta, parsed } = await together(address, query);
      secondOpinion(delta, (message) => faults.push(`${address}: ${message}`));
      if (!parsed.skip) faults.push(`${address}: nothing is skipped`);
      if (delta.length >= next.length) faults.push(`${address}: ${delta.length} bytes in place of ${next.length}`);
      skipped += parsed.skip ?? 0;
      faults.push(...differences(HLS.parse(next), parsed).map((fault) => `${address}: ${fault}`));
      whole = next;
    }
  }
  demand([...new Set(faults)]);
  return { playlists: media.length, deltas: media.length * DELTAS, skipped };
}

/** The Playlist and its Delta Update of one moment: asked at once, they are held until the same Part is there. */
async function together(address, query) {
  for (let n = 0; n < TOGETHER_MAX; n += 1) {
    const [next, delta] = await Promise.all([text(address + query), text(`${address}${query}&_HLS_skip=YES`)]);
    const parsed = HLS.parse(delta);
    // Unless one of the two questions came after the Part: its answer may have one more.
    if (nextPart(HLS.parse(next)).join() === nextPart(parsed).join()) return { next, delta, parsed };
  }
  throw new Error(`${address}: in ${TOGETHER_MAX} times a Delta Update was never of the Playlist's moment`);
}

/** RFC 8216bis 6.2.5.1: but for what is skipped, the Delta Update is the Playlist. */
function differences(whole, delta) {
  const told = ({ uri, duration, programDateTime, parts, discontinuity, gap }) =>
    JSON.stringify([uri, duration, programDateTime, discontinuity, gap, parts.map((part) => [part.uri, part.duration])]);
  const expected = whole.segments.slice(delta.skip).map(told);
  const found = delta.segments.map(told);
  const faults = [];
  if (delta.mediaSequenceBase !== whole.mediaSequenceBase) faults.push(`begins at ${delta.mediaSequenceBase}`);
  if (expected.length !== found.length) faults.push(`${found.length} Segments follow, not ${expected.length}`);
  expected.forEach((line, index) => line !== found[index] && faults.push(`${found[index]} in place of ${line}`));
  return faults;
}

/** Each address of an I-frame Playlist, behind the init segment, is one picture that can be decoded by itself. */
async function keyFrames(server, channel) {
  const { address, multivariant } = await playlists(channel);
  const variants = multivariant.variants.filter(({ isIFrameOnly }) => isIFrameOnly);
  if (!variants.length) throw new Error('the multivariant Playlist names no I-frame Playlist');
  const at = new URL(variants[0].uri, address).href;
  const body = await text(at);
  const playlist = HLS.parse(body);
  const faults = [];
  secondOpinion(body, (message) => faults.push(message));
  if (!playlist.isIFrame) faults.push('it does not say that it has I-frames only');
  for (const segment of [playlist.segments[0], playlist.segments.at(-1)]) {
    const init = await bytes(new URL(segment.map.uri, at).href);
    const picture = await bytes(new URL(segment.uri, at).href, segment.byterange);
    const file = join(server.directory, 'key.mp4');
    writeFileSync(file, Buffer.concat([init, picture]));
    const entries = ['-show_entries', 'frame=pict_type,key_frame', '-of', 'csv=p=0', '-select_streams', 'v'];
    const { stdout } = await run('ffprobe', ['-v', 'error', ...entries, file]);
    if (!/^1,I,?$/.test(stdout.trim())) faults.push(`${segment.uri} has the frames ${stdout.trim() || 'none'}`);
  }
  demand(faults);
  return { pictures: playlist.segments.length };
}

async function bytes(url, range) {
  const headers = range ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {};
  const response = await fetch(url, { headers });
  if (response.status !== (range ? 206 : 200)) throw new Error(`${response.status} for ${url} ${headers.range ?? ''}`);
  return Buffer.from(await response.arrayBuffer());
}

/** After a venue was away: what it did not send is marked as a gap, and nobody is told otherwise. */
export async function gapsParse({ report, server, feed, venue }) {
  await report.case(GAPS, async () => {
    const { media } = await playlists(server.channel(feed));
    await venue.stop('SIGKILL');
    await sleep(AWAY_MS);
    venue.start();
    const listed = async () => (await text(media[0])).includes('#EXT-X-GAP');
    await until('the Playlist has a gap, and a Segment after it', listed);
    await sleep(SEGMENT_AFTER_MS);
    const faults = [];
    let gaps = 0;
    for (const address of media) {
      const body = await text(address);
      const { segments } = HLS.parse(body);
      secondOpinion(body, (message) => faults.push(`${address}: ${message}`));
      const marked = segments.filter(({ gap }) => gap);
      gaps += marked.length;
      if (!marked.length) faults.push(`${address}: no EXT-X-GAP`);
      const real = segments.filter(({ uri, gap }) => uri && !gap);
      const after = real.find(({ mediaSequenceNumber: n }) => n > marked.at(-1)?.mediaSequenceNumber);
      if (marked.length && !after) faults.push(`${address}: nothing follows the gap`);
    }
    demand(faults);
    return { playlists: media.length, gaps };
  });
}

/** Of a feed with splice information: where it stands in Playlists and Manifest. */
export async function cuesParse({ report, server, feed }) {
  await report.case('splice information is in the Playlists and the Manifest', async () => {
    const { media } = await playlists(server.channel(feed));
    const faults = [];
    let ranges = 0;
    for (const address of media) {
      const body = await text(address);
      HLS.parse(body);
      const { dateRanges } = secondOpinion(body, (message) => faults.push(`${address}: ${message}`));
      ranges += dateRanges.length;
      if (!dateRanges.length) faults.push(`${address}: no EXT-X-DATERANGE`);
      for (const range of dateRanges) {
        const section = range.scte35Out ?? range.scte35In ?? range.scte35Cmd;
        if (!/^0xFC30/i.test(section ?? '')) faults.push(`${address}: ${range.id} has no section: ${section}`);
      }
    }
    const manifest = await text(`${server.channel(feed)}/manifest.mpd`);
    const events = manifest.match(/<Event /g)?.length ?? 0;
    if (!events) faults.push('the Manifest has no Event');
    if (!/<InbandEventStream/.test(manifest)) faults.push('the Manifest tells of no events within its Segments');
    demand(faults);
    return { playlists: media.length, 'date ranges': ranges, events };
  });
}
