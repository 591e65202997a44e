// ffprobe, ffmpeg and VLC read a channel.

import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { shortLanguage } from '../harness/verdict.js';

const READ_SECONDS = 10;
// In a Manifest, ffmpeg begins each stream with the first Segment that starts less than a minute before its newest one's
// end. Segments of sound start up to a frame of it beside the picture's, so that it may begin with the one before.
const APART_SECONDS = 2;
const VLC_SECONDS = 12;
const SECONDS_MIN = 6;
// Of ffmpeg's own making, up to its version 8: it reads the init segment of a live HLS again after each reload, and
// then finds it odd. Its own HLS gets the same.
const OWN_NOTICE = /^.*Found duplicated MOOV Atom\. Skipped it\n|^ *Last message repeated \d+ times\n/gm;
const ADDRESSES = { HLS: 'index.m3u8', DASH: 'manifest.mpd' };

export async function toolsRead({ report, server, feed }) {
  for (const [protocol, address] of Object.entries(ADDRESSES)) {
    const url = `${server.channel(feed)}/${address}`;
    await report.case(`ffprobe reads ${protocol} without a warning`, () => ffprobe(url));
    await report.case(`ffmpeg reads ${protocol} without a warning`, () => ffmpeg(url));
    await report.case(`VLC plays ${protocol}`, () => vlc(url));
  }
}

async function ffprobe(url) {
  const { stdout, stderr } = await run('ffprobe', ['-v', 'warning', '-of', 'json', '-show_streams', url]);
  const { streams } = JSON.parse(stdout);
  const faults = silence(stderr);
  const video = streams.filter(({ codec_name }) => codec_name === 'h264');
  const audio = streams.filter(({ codec_name }) => codec_name === 'aac');
  const languages = audio.map(({ tags }) => shortLanguage(tags?.language)).sort();
  if (video[0]?.width !== 1280 || video[0]?.height !== 720) faults.push('no H.264 of 1280x720');
  if (languages.join() !== 'en,fr') faults.push(`AAC in the languages ${languages}`);
  demand(faults);
  return { streams: streams.length, languages: languages.join('+') };
}

async function ffmpeg(url) {
  return withScratch(async (directory) => {
    const file = join(directory, 'frames');
    const wanted = ['-map', '0:v:0', '-map', '0:a', '-t', String(READ_SECONDS + APART_SECONDS), '-f', 'framecrc', file];
    const { stderr } = await run('ffmpeg', ['-nostdin', '-v', 'warning', '-i', url, ...wanted]);
    const faults = silence(stderr);
    const streams = decoded(readFileSync(file, 'utf8'));
    if (streams.length !== 3) faults.push(`decoded ${streams.length} streams`);
    for (const [index, { seconds, holes }] of streams.entries()) {
      if (seconds < READ_SECONDS * 0.95) faults.push(`decoded ${seconds.toFixed(2)} s of stream ${index}`);
      if (holes) faults.push(`${holes} holes in stream ${index}`);
    }
    const figures = { decoded: streams.map(({ seconds }) => `${seconds.toFixed(1)} s`).join('+') };
    demand(faults, figures);
    return figures;
  });
}

/** How long each stream of a `framecrc` is, without what is missing between two of its frames. */
function decoded(framecrc) {
  const streams = [];
  for (const [, index, numerator, denominator] of framecrc.matchAll(/^#tb (\d+): (\d+)\/(\d+)$/gm)) {
    streams[index] = { timeBase: numerator / denominator, seconds: 0, holes: 0, next: null };
  }
  for (const [, index, start, length] of framecrc.matchAll(/^(\d+), +-?\d+, +(-?\d+), +(\d+),/gm)) {
    const stream = streams[index];
    if (stream.next !== null && Number(start) !== stream.next) stream.holes += 1;
    stream.next = Number(start) + Number(length);
    stream.seconds += length * stream.timeBase;
  }
  return streams;
}

function silence(stderr) {
  const said = stderr.replace(OWN_NOTICE, '').trim();
  return said ? [`said: ${said}`] : [];
}

/** What VLC played, as it wrote it to a file. */
async function vlc(url) {
  return withScratch(async (directory) => {
    const file = join(directory, 'played.ts');
    // VLC will not run as root.
    const user = process.getuid() === 0 ? ['runuser', '-u', 'nobody', '--', 'env', `HOME=${directory}`] : ['env'];
    const output = `#std{access=file,mux=ts,dst=${file}}`;
    const quiet = ['--no-color', '-I', 'dummy', '--sout', output, '--run-time', String(VLC_SECONDS), '--play-and-exit'];
    await run(user[0], [...user.slice(1), 'cvlc', ...quiet, url, 'vlc://quit'], { timeoutMs: 60_000 });
    const entries = 'stream=codec_name:format=duration';
    const { stdout } = await run('ffprobe', ['-v', 'error', '-of', 'json', '-show_entries', entries, file]);
    const { streams, format } = JSON.parse(stdout);
    const codecs = streams.map(({ codec_name }) => codec_name);
    const seconds = Number(format.duration);
    const faults = ['h264', 'aac'].filter((codec) => !codecs.includes(codec)).map((codec) => `played no ${codec}`);
    if (!(seconds >= SECONDS_MIN)) faults.push(`played ${seconds} s`);
    demand(faults);
    return { played: `${seconds.toFixed(1)} s`, codecs: codecs.join('+') };
  });
}

/** Gives `use` a directory that anybody may write to, and takes it away afterwards. */
async function withScratch(use) {
  const directory = mkdtempSync(join(tmpdir(), 'flambeau-tools-'));
  chmodSync(directory, 0o777);
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
