// The `flambeau` under test, as an operator runs it: a configuration file and a process.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Process, freePort, until } from './process.js';

const ESTABLISHED_SECONDS = 10;
const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

/** Cargo's target directory. */
export function targetDirectory() {
  const metadata = execFileSync('cargo', ['metadata', '--format-version', '1', '--no-deps', '--offline'], {
    cwd: REPOSITORY,
    maxBuffer: 1 << 24,
  });
  return JSON.parse(metadata).target_directory;
}

/** The binary of the profile that `FLAMBEAU_PROFILE` names (`debug`, `release`), or the one that `FLAMBEAU` names. */
function binary() {
  return process.env.FLAMBEAU ?? join(targetDirectory(), process.env.FLAMBEAU_PROFILE ?? 'debug', 'flambeau');
}

/** A Flambeau of its own ports, with a public channel for each feed. `http` and `packager` are further keys of those sections. */
export class Flambeau {
  static async start(feeds, { http = '', packager = '' } = {}) {
    const server = new Flambeau();
    server.token = randomBytes(16).toString('hex');
    server.directory = mkdtempSync(join(tmpdir(), 'flambeau-players-'));
    server.ports = { ingest: await freePort('udp'), pull: await freePort('udp') };
    Object.assign(server.ports, { http: await freePort('tcp'), admin: await freePort('tcp') });
    const config = join(server.directory, 'flambeau.toml');
    writeFileSync(config, configuration(server, feeds, http, packager));
    server.process = new Process(binary(), ['run', config]);
    await until('the server is ready', async () => {
      if (server.process.end) throw new Error('ended');
      return (await fetch(`${server.admin}/readyz`)).ok;
    }).catch((error) => {
      throw new Error(`${error.message}\n${server.log()}`);
    });
    return server;
  }

  /** Where a venue publishes `feed`. */
  publish(feed) {
    return `srt://127.0.0.1:${this.ports.ingest}?streamid=#!::r=${feed},m=publish`;
  }

  /** The address of a channel, without a slash at its end. */
  channel(feed) {
    return `http://127.0.0.1:${this.ports.http}/${feed}`;
  }

  get admin() {
    return `http://127.0.0.1:${this.ports.admin}`;
  }

  /**
   * Waits until a channel's Playlist holds what a player of whole Segments holds back: a viewer of the first
   * seconds plays at their end.
   */
  established(feed, seconds = ESTABLISHED_SECONDS) {
    return until(`channel ${feed} has ${seconds} s`, async () => {
      const multivariant = await text(`${this.channel(feed)}/index.m3u8`);
      const media = multivariant.split('\n').find((line) => line && !line.startsWith('#'));
      const playlist = await text(`${this.channel(feed)}/${media}`);
      const lengths = [...playlist.matchAll(/^#EXTINF:([\d.]+)/gm)];
      return lengths.reduce((sum, [, length]) => sum + Number(length), 0) >= seconds;
    }, (seconds + 10) * 1000).catch((error) => {
      throw new Error(`${error.message}\n${this.log()}`);
    });
  }

  /** What the API says at `path`. */
  async api(path) {
    const headers = { authorization: `Bearer ${this.token}` };
    return JSON.parse(await text(`${this.admin}/api/v1/${path}`, { headers }));
  }

  log() {
    return (this.process.stdout + this.process.stderr).slice(-4000);
  }

  async stop() {
    const end = await this.process.stop();
    rmSync(this.directory, { recursive: true, force: true });
    return end;
  }
}

/** The body of a response that must be a success. */
export async function text(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(`${response.status} for ${url}`);
  return response.text();
}

function configuration({ ports, token }, feeds, http, packager) {
  const one = (feed) => `
[[feeds]]
id = "${feed}"
[[channels]]
id = "${feed}"
feed = "${feed}"
public = true
`;
  return `
[ingest.srt]
listen = "127.0.0.1:${ports.ingest}"
[edge.srt]
listen = "127.0.0.1:${ports.pull}"
[edge.http]
listen = "127.0.0.1:${ports.http}"
${http}
[packager]
${packager}
[admin]
listen = "127.0.0.1:${ports.admin}"
token = "${token}"
${feeds.map(one).join('')}`;
}
