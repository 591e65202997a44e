// Plays what a running Flambeau serves in real players, and reads it with others' parsers and tools.
//
//   node run.js [PART OF A CASE'S NAME]...
//
// FLAMBEAU_FULL=1 plays for ten minutes instead of one. FLAMBEAU_PROFILE is `debug` or `release`. FLAMBEAU names
// a binary. CHROMIUM names a browser.

import { join } from 'node:path';

import { encoderReturns, pictureChanges } from './cases/changes.js';
import { offAirPlays } from './cases/offair.js';
import { playlistsParse } from './cases/playlists.js';
import { steady } from './cases/steady.js';
import { toolsRead } from './cases/tools.js';
import { Browser } from './harness/browser.js';
import { killAll } from './harness/process.js';
import { Report } from './harness/report.js';
import { Flambeau, targetDirectory } from './harness/server.js';
import { Encoder, prepare } from './harness/venue.js';

const FEEDS = ['main', 'changing', 'off-air'];
const PLAY_SECONDS = process.env.FLAMBEAU_FULL === '1' ? 600 : 60;

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', killAll);

const report = new Report(process.argv.slice(2));
let server;
let browser;
try {
  await prepare();
  server = await Flambeau.start(FEEDS);
  browser = await Browser.open();
  const context = { report, server, browser, seconds: PLAY_SECONDS };

  const venue = new Encoder(server.publish('main'));
  await server.established('main');
  await steady({ ...context, feed: 'main' });
  await playlistsParse({ ...context, feed: 'main' });
  await toolsRead({ ...context, feed: 'main' });
  await encoderReturns({ ...context, feed: 'main', venue });
  await venue.stop();

  await pictureChanges({ ...context, feed: 'changing' });
  await offAirPlays({ ...context, feed: 'off-air' });
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
process.exitCode = report.close(join(targetDirectory(), 'players', 'results.json')) ? 0 : 1;
