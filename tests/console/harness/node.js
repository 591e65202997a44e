// The `flambeau` under test, as an operator's: a configuration with a token, forty feeds, a broadcaster.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Process, freePort, until } from '../../players/harness/process.js';
import { targetDirectory } from '../../players/harness/server.js';

export const TOKEN = 'an-operators-token-of-the-tests';
export const BROADCASTER = 'rtx';
const PASSPHRASE = 'a-passphrase-of-the-tests';

const PLACES = [
  ...['Athletics', 'Swimming', 'Gymnastics', 'Road cycling', 'Rowing', 'Tennis', 'Judo', 'Fencing', 'Archery', 'Boxing'],
  ...['Handball', 'Water polo', 'Diving', 'Sailing', 'Equestrian', 'Shooting', 'Weightlifting', 'Wrestling'],
  ...['Volleyball', 'Beach volleyball', 'Basketball', 'Hockey', 'Rugby sevens', 'Football north', 'Football south'],
  ...['Badminton', 'Table tennis', 'Triathlon', 'Marathon', 'Canoe slalom', 'Canoe sprint', 'Surfing', 'Skate park'],
  ...['BMX', 'Climbing', 'Golf', 'Pentathlon', 'Ceremony', 'Village', 'Studio B'],
];

/** Every feed there is: its id and what people call it. */
export const FEEDS = PLACES.map((label) => ({ id: label.toLowerCase().replaceAll(' ', '-'), label }));

/** Feeds that something happens to. */
export const LOSSY = 'diving';
export const GONE = 'fencing';
export const REFUSED = 'village';
export const UNSEEN = ['ceremony', 'studio-b'];
export const WATCHED = 'athletics';
export const LOCKED = 'golf';

/** The feeds that are live without further ado. */
export const ORDINARY = FEEDS.map(({ id }) => id).filter((id) => ![LOSSY, GONE, REFUSED, ...UNSEEN].includes(id));

/** The binary of the profile that `FLAMBEAU_PROFILE` names, or the one that `FLAMBEAU` names. */
export function binary() {
  return process.env.FLAMBEAU ?? join(targetDirectory(), process.env.FLAMBEAU_PROFILE ?? 'debug', 'flambeau');
}

/** A node of its own ports and its own directory. */
export class Node {
  static async start() {
    const node = new Node();
    node.directory = mkdtempSync(join(tmpdir(), 'flambeau-console-'));
    node.file = join(node.directory, 'flambeau.toml');
    node.ports = { ingest: await freePort('udp'), pull: await freePort('udp') };
    Object.assign(node.ports, { http: await freePort('tcp'), admin: await freePort('tcp') });
    writeFileSync(node.file, configuration(node.ports));
    await node.run();
    return node;
  }

  async run() {
    this.process = new Process(binary(), ['run', this.file]);
    await until('the node is ready', async () => {
      if (this.process.end) throw new Error('ended');
      return (await fetch(`${this.admin}/readyz`)).ok;
    }).catch((error) => {
      throw new Error(`${error.message}\n${this.log()}`);
    });
  }

  get admin() {
    return `http://127.0.0.1:${this.ports.admin}`;
  }

  publish(feed) {
    return `srt://127.0.0.1:${this.ports.ingest}?streamid=#!::r=${feed},m=publish`;
  }

  pull(feed) {
    const options = `streamid=#!::r=${feed},m=request,u=${BROADCASTER}&passphrase=${PASSPHRASE}`;
    return `srt://127.0.0.1:${this.ports.pull}?${options}`;
  }

  /** The JSON at a path of the API. */
  async api(path) {
    const response = await fetch(`${this.admin}/api/v1/${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
    if (!response.ok) throw new Error(`${response.status} for ${path}`);
    return response.json();
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

function configuration(ports) {
  const one = ({ id, label }) => `
[[feeds]]
id = "${id}"
label = "${label}"
${id === REFUSED ? 'passphrase = "only the venue knows it"\n' : ''}
[[channels]]
id = "${id}"
feed = "${id}"
label = "${label}"
public = ${id !== LOCKED}
`;
  return `[ingest.srt]
listen = "127.0.0.1:${ports.ingest}"
# Long enough for a venue that is gone to stay on the board while it is looked at.
reconnect_grace = "10m"

[edge.srt]
listen = "127.0.0.1:${ports.pull}"

[edge.http]
listen = "127.0.0.1:${ports.http}"

[admin]
listen = "127.0.0.1:${ports.admin}"
token = "${TOKEN}"

[[broadcasters]]
id = "${BROADCASTER}"
label = "Radio Télévision X"
passphrase = "${PASSPHRASE}"
token = "the token of rtx"

[[entitlements]]
broadcaster = "${BROADCASTER}"
feeds = ["*"]
${FEEDS.map(one).join('')}`;
}
