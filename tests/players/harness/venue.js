// Venues: encoders that publish over SRT, live or from material made beforehand.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { HEIGHT, WIDTH } from './clock.js';
import { Process, run, sleep } from './process.js';
import { insertCues } from './scte35.js';
import { targetDirectory } from './server.js';

const FFMPEG = ['-nostdin', '-v', 'warning'];
const OFF_AIR_BITS_PER_SECOND = 8_000_000;
const PAYLOAD = 7 * 188;
const SRT_LATENCY_US = 120_000;
const CAMERA = fileURLToPath(new URL('clock-camera.js', import.meta.url));

/** How long the off-air feed is. */
export const OFF_AIR_SECONDS = 75;
/** How long each picture of the changing feed is: whole frames of AAC at 48 kHz, or the sound had a hole at the change. */
export const PICTURE_SECONDS = 24;

/** The languages that each venue speaks, in the order of its tracks. */
export const LANGUAGES = ['eng', 'fra'];

const picture = (size, rate) => ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}`];
const tone = (hertz) => ['-f', 'lavfi', '-i', `sine=frequency=${hertz}:beep_factor=4:sample_rate=48000`];
const h264 = (profile, bitrate, more = '') => [
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-profile:v', profile, '-pix_fmt', 'yuv420p', '-bf', '2'],
  // The preset uses nothing that only High has; the transform makes it High.
  ...['-x264-params', profile === 'high' ? `8x8dct=1${more}` : `8x8dct=0${more}`],
  ...['-b:v', bitrate, '-maxrate', bitrate, '-bufsize', bitrate, '-g', '25', '-sc_threshold', '0'],
];
const languages = (...names) => names.flatMap((name, index) => [`-metadata:s:a:${index}`, `language=${name}`]);

/** An encoder at work: 720p25 H.264 of 2 Mb/s and AAC in two languages. */
export class Encoder {
  constructor(target) {
    this.target = target;
    this.start();
  }

  start() {
    const realTime = [picture('1280x720', 25), tone(440), tone(660)].flatMap((input) => ['-re', ...input]);
    this.process = new Process('ffmpeg', [
      ...FFMPEG,
      ...realTime,
      ...['-map', '0:v', '-map', '1:a', '-map', '2:a', ...h264('main', '2M')],
      ...['-c:a', 'aac', '-b:a', '96k', '-ac', '2', ...languages(...LANGUAGES)],
      ...['-f', 'mpegts', `${this.target}&pkt_size=${PAYLOAD}`],
    ]);
  }

  stop(signal) {
    return this.process.stop(signal);
  }
}

/**
 * A camera before a clock (harness/clock-camera.js) and a tone, encoded with what a venue would take for low latency:
 * no B-frames, no look-ahead, a key frame every two seconds, SRT of 120 ms.
 */
export class ClockEncoder {
  constructor(target) {
    this.target = target;
    this.start();
  }

  start() {
    this.camera = new Process(process.execPath, [CAMERA], { passOn: true });
    const size = `${WIDTH}x${HEIGHT}`;
    this.process = new Process(
      'ffmpeg',
      [
        ...FFMPEG,
        ...['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', size, '-r', '25', '-probesize', '32', '-i', 'pipe:0'],
        ...[...tone(440), '-map', '0:v', '-map', '1:a'],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-threads', '1', '-profile:v', 'main'],
        ...['-bf', '0', '-g', '50', '-sc_threshold', '0', '-b:v', '600k', '-maxrate', '600k', '-bufsize', '300k'],
        ...['-c:a', 'aac', '-b:a', '64k', '-ac', '2', ...languages('eng')],
        // One frame of sound a PES packet, and sent at once.
        ...['-pes_payload_size', '0', '-muxdelay', '0', '-muxpreload', '0', '-flush_packets', '1'],
        ...['-f', 'mpegts', `${this.target}&pkt_size=${PAYLOAD}&latency=${SRT_LATENCY_US}`],
      ],
      { stdio: [this.camera.child.stdout, 'pipe', 'pipe'] },
    );
  }

  async stop(signal) {
    await Promise.all([this.process.stop(signal), this.camera.stop(signal)]);
  }
}

/** Plays transport streams of `changing` one after the other, as one contribution without a break. */
export function changingEncoder(target, files) {
  const list = join(mediaDirectory(), 'changing.txt');
  // ffmpeg would leave as much out as the pictures come later than the sound.
  writeFileSync(list, files.map((file) => `file '${file}'\nduration ${PICTURE_SECONDS}\n`).join(''));
  return new Process('ffmpeg', [
    ...FFMPEG,
    ...['-re', '-f', 'concat', '-safe', '0', '-i', list, '-map', '0', '-c', 'copy'],
    ...['-f', 'mpegts', `${target}&pkt_size=${PAYLOAD}`],
  ]);
}

/** Plays a constant bit rate stream by the byte, through srt-live-transmit. */
export function player(target, file) {
  const sender = new Process('srt-live-transmit', ['-loglevel:error', `-chunk:${PAYLOAD}`, 'file://con', target]);
  pace(sender, readFileSync(file), OFF_AIR_BITS_PER_SECOND);
  return sender;
}

async function pace(sender, bytes, bitsPerSecond) {
  const start = performance.now();
  let sent = 0;
  while (sent < bytes.length && !sender.end) {
    const due = ((performance.now() - start) / 1000) * (bitsPerSecond / 8);
    const end = Math.min(bytes.length, Math.floor(due / PAYLOAD) * PAYLOAD);
    if (end > sent) sender.child.stdin.write(bytes.subarray(sent, end));
    sent = Math.max(sent, end);
    await sleep(5);
  }
  sender.child.stdin.end();
}

/**
 * What comes off air: 1080i50 H.264 with B-frames at a constant bit rate with null packets; AAC in two languages,
 * AC-3 and MP2 beside it; SCTE-35.
 */
export function offAir(seconds = OFF_AIR_SECONDS) {
  return made(`off-air-${seconds}.ts`, async (file) => {
    await run('ffmpeg', [
      ...FFMPEG,
      ...picture('1920x1080', 50),
      ...[...tone(440), ...tone(660), ...tone(440), ...tone(660)],
      ...['-filter_complex', '[0:v]interlace=scan=tff:lowpass=0,setfield=tff[v]', '-map', '[v]'],
      ...[1, 2, 3, 4].flatMap((input) => ['-map', `${input}:a`]),
      ...[...h264('high', '5M', ':tff=1'), '-flags', '+ilme+ildct'],
      ...['-c:a:0', 'aac', '-c:a:1', 'aac', '-c:a:2', 'ac3', '-c:a:3', 'mp2', '-ac', '2', '-b:a', '128k'],
      ...languages('eng', 'fra', 'eng', 'fra'),
      ...['-t', String(seconds), '-muxrate', String(OFF_AIR_BITS_PER_SECOND), '-f', 'mpegts', '-y', file],
    ]);
    const packetsPerSecond = OFF_AIR_BITS_PER_SECOND / 8 / 188;
    writeFileSync(file, insertCues(readFileSync(file), Math.round(packetsPerSecond * 5)));
  });
}

/** Two streams alike but for the picture: 720p25 Main, then 540p25 High. */
export function changing() {
  const one = (size, profile) =>
    made(`changing-${size}-${PICTURE_SECONDS}.ts`, (file) =>
      run('ffmpeg', [
        ...FFMPEG,
        ...[...picture(size, 25), ...tone(440), ...tone(660), '-map', '0:v', '-map', '1:a', '-map', '2:a'],
        ...[...h264(profile, '2M'), '-c:a', 'aac', '-b:a', '96k', '-ac', '2', ...languages(...LANGUAGES)],
        // The encoder's priming is a frame more.
        ...['-t', String(PICTURE_SECONDS), '-frames:a', String((PICTURE_SECONDS * 48_000) / 1024)],
        ...['-f', 'mpegts', '-y', file],
      ]),
    );
  return Promise.all([one('1280x720', 'main'), one('960x540', 'high')]);
}

/** Makes beforehand what takes long to encode, so that no encoder runs beside the players. */
export async function prepare() {
  await offAir();
  await changing();
}

/** The file of that name, made anew where this program has changed since. */
async function made(name, make) {
  const version = createHash('sha256').update(readFileSync(new URL(import.meta.url))).digest('hex').slice(0, 8);
  const file = join(mediaDirectory(), `${version}-${name}`);
  if (!existsSync(file)) {
    await make(`${file}.part`);
    renameSync(`${file}.part`, file);
  }
  return file;
}

function mediaDirectory() {
  const directory = join(targetDirectory(), 'players');
  mkdirSync(directory, { recursive: true });
  return directory;
}
