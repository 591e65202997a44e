// Plays what a running Flambeau serves in real players, and reads it with others' parsers and tools.
//
//   node run.js [--minutes N] [PART OF A CASE'S NAME]...
//
//   node run.js                      everything, a minute a player
//   node run.js --minutes 30 glass   how far all players are behind the camera, for half an hour
//
// FLAMBEAU_FULL=1 plays for ten minutes instead of one. FLAMBEAU_PROFILE is `debug` or `release`. FLAMBEAU names
// a binary. CHROMIUM names a browser. FLAMBEAU_PACKAGER is further keys of [packager], as TOML.

import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { encoderReturns, pictureChanges } from './cases/changes.js';
import { glassToGlass, warmStarts } from './cases/glass.js';
import { offAirPlays } from './cases/offair.js';
import { playlistsParse } from './cases/playlists.js';
import { venueReturns } from './cases/resume.js';
import { startsOver } from './cases/startover.js';
import { steady } from './cases/steady.js';
import { GAPS, gapsParse, tagsParse } from './cases/tags.js';
import { toolsRead } from './cases/tools.js';
import { Browser } from './harness/browser.js';
import { killAll } from './harness/process.js';
import { Report } from './harness/report.js';
import { Flambeau, targetDirectory } from './harness/server.js';
import { ClockEncoder, Encoder, prepare } from './harness/venue.js';

const CHANGING = ['changing', 'changing-too'];
const OFF_AIR = ['off-air', 'off-air-too'];
const FEEDS = ['main', ...CHANGING, ...OFF_AIR];
const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string' } },
});
const PLAY_SECONDS = options.minutes ? Number(options.minutes) * 60 : process.env.FLAMBEAU_FULL === '1' ? 600 : 60;
const PACKAGER = process.env.FLAMBEAU_PACKAGER ?? '';
if (!(PLAY_SECONDS > 0)) throw new Error(`--minutes ${options.minutes} is no length of time`);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', killAll);

const report = new Report(wanted);
let server;
let browser;
try {
  await prepare();
  server = await Flambeau.start(FEEDS, { packager: PACKAGER });
  browser = await Browser.open();
  const context = { report, server, browser, seconds: PLAY_SECONDS };
  await ordinary({ ...context, feed: 'main' });
  // Long, and of a Manifest that has to be asked for: where it is named, and in the full run.
  if (wanted.length || process.env.FLAMBEAU_FULL === '1') await lowLatency({ ...context, feed: 'clock' });
  await leavesGaps({ ...context, feed: 'gone' });
  await pictureChanges({ ...context, feeds: CHANGING });
  await offAirPlays({ ...context, feeds: OFF_AIR });
} catch (error) {
  await report.case('the run comes to its end', () => {
    throw error;
  });
} finally {
  await browser?.close();
}
if (server) {
  await report.case('the server ends in order', async () => {
    const { code, signal } = await server.stop();
    if (code !== 0) throw new Error(`ended with ${code ?? signal}\n${server.log()}`);
  });
}
// Where that case is not asked for.
await server?.stop();
process.exitCode = report.close(join(targetDirectory(), 'players', 'results.json')) ? 0 : 1;

/** An ordinary feed, in every player and tool. */
async function ordinary(context) {
  const { server, feed } = context;
  const venue = new Encoder(server.publish(feed));
  try {
    await server.established(feed);
    await steady(context);
    await playlistsParse(context);
    await tagsParse(context);
    await toolsRead(context);
    await startsOver(context);
    await encoderReturns({ ...context, venue });
  } finally {
    await venue.stop();
  }
}

/** A clock before the camera, in the players at low latency. */
async function lowLatency(context) {
  await onItsOwn({ ...context, packager: withKey('low_latency_dash'), venue: ClockEncoder }, async (own) => {
    await warmStarts(own);
    await glassToGlass(own);
    await venueReturns(own);
  });
}

/** A venue that goes away and returns, where what it did not send is listed. */
async function leavesGaps(context) {
  if (!report.wants(GAPS)) return;
  await onItsOwn({ ...context, packager: withKey('hls_gaps'), venue: Encoder }, gapsParse);
}

/** On a server with a [packager] of its own, and a feed that a venue of the class `venue` publishes. */
async function onItsOwn({ packager, venue: Venue, ...context }, happen) {
  const { feed } = context;
  const server = await Flambeau.start([feed], { packager });
  const venue = new Venue(server.publish(feed));
  try {
    await server.established(feed);
    await happen({ ...context, server, venue });
  } finally {
    await venue.stop();
    await server.stop();
  }
}

/** Turns on `key` of [packager], unless FLAMBEAU_PACKAGER says something of it. */
function withKey(key) {
  return PACKAGER.includes(key) ? PACKAGER : `${key} = true\n${PACKAGER}`;
}
