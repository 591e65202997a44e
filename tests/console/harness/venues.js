// Forty venues for little: one clip, encoded once, and one sender that copies it to most of the feeds.

import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';

import { Process, freePort, run, until } from '../../players/harness/process.js';
import { targetDirectory } from '../../players/harness/server.js';
import { GONE, LOSSY, ORDINARY, REFUSED, binary } from './node.js';

const CLIP_SECONDS = 60;
const LIVE_MS_MAX = 90_000;
const FFMPEG = ['-nostdin', '-v', 'warning'];
const PAYLOAD = 'pkt_size=1316';

/** A picture small enough to be carried forty times: 320x180 at 25 a second, 250 kb/s, and a tone. */
async function clip() {
  const directory = join(targetDirectory(), 'console');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `clip-${CLIP_SECONDS}.ts`);
  if (existsSync(file)) return file;
  await run('ffmpeg', [
    ...[...FFMPEG, '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-profile:v', 'main', '-pix_fmt', 'yuv420p', '-g', '25'],
    ...['-sc_threshold', '0', '-b:v', '250k', '-maxrate', '250k', '-bufsize', '250k'],
    ...['-c:a', 'aac', '-b:a', '64k', '-ac', '2', '-metadata:s:a:0', 'language=eng'],
    ...['-t', String(CLIP_SECONDS), '-f', 'mpegts', '-y', `${file}.part`],
  ]);
  renameSync(`${file}.part`, file);
  return file;
}

/** Every venue of the run. */
export class Venues {
  static async open(node) {
    const venues = new Venues();
    venues.file = await clip();
    venues.node = node;
    venues.many = venues.send(...ORDINARY.map((feed) => node.publish(feed)));
    venues.gone = venues.send(node.publish(GONE));
    venues.lossy = venues.send(await venues.badLink());
    await until('the venues are live', () => venues.areLive(), LIVE_MS_MAX, 500);
    // The one loses its power, the other never had the right passphrase.
    venues.gone.child.kill('SIGKILL');
    venues.refused = venues.send(`${node.publish(REFUSED)}&passphrase=certainly+not+it`);
    await venues.refused.ended;
    await until('the venue is missed', async () => (await node.api(`feeds/${GONE}`)).state === 'waiting', LIVE_MS_MAX);
    return venues;
  }

  async areLive() {
    const { feeds } = await this.node.api('feeds');
    const { channels } = await this.node.api('channels');
    const live = feeds.filter(({ state }) => state === 'live').length;
    const onAir = channels.filter(({ state }) => state === 'on_air').length;
    return live >= ORDINARY.length + 2 && onAir >= ORDINARY.length;
  }

  /** Sends the clip, over and over, as one contribution without a break. */
  send(...targets) {
    const input = [...FFMPEG, '-re', '-stream_loop', '-1', '-i', this.file, '-map', '0', '-c', 'copy'];
    const outputs = targets.map((target) => `[f=mpegts:onfail=ignore]${target}&${PAYLOAD}`);
    return new Process('ffmpeg', [...input, '-f', 'tee', outputs.join('|')]);
  }

  /** A link that loses one packet in sixteen on its way up, and where it ends. */
  async badLink() {
    const port = await freePort('udp');
    const { ingest } = this.node.ports;
    this.link = new Process(binary(), [
      ...['loadtest', 'impair', '--listen', `127.0.0.1:${port}`, '--to', `127.0.0.1:${ingest}`],
      ...['--loss-up', '6%', '--delay', '20ms'],
    ]);
    return this.node.publish(LOSSY).replace(`:${ingest}`, `:${port}`);
  }

  /** A broadcaster that takes a feed until it is turned away. */
  pull(feed) {
    const target = this.node.pull(feed);
    return new Process('srt-live-transmit', ['-loglevel:error', '-a:no', target, 'file://con'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  }

  async close() {
    const senders = [this.many, this.lossy, this.gone, this.refused, this.link];
    await Promise.all(senders.map((sender) => sender?.stop('SIGKILL')));
  }
}
