// An operator's journeys through the console of a running Flambeau with forty feeds, in headless Chromium.
//
//   node run.js [PART OF A CASE'S NAME]...
//
// Pictures go to console/ in the target directory. FLAMBEAU_PROFILE is `debug` or `release`. FLAMBEAU names a binary.
// CHROMIUM names a browser.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { killAll } from '../players/harness/process.js';
import { Report } from '../players/harness/report.js';
import { targetDirectory } from '../players/harness/server.js';
import { access } from './cases/access.js';
import { board } from './cases/board.js';
import { configuration } from './cases/configuration.js';
import { endurance } from './cases/endurance.js';
import { pictures } from './cases/pictures.js';
import { sessions } from './cases/sessions.js';
import { units } from './cases/units.js';
import { watch } from './cases/watch.js';
import { Node } from './harness/node.js';
import { openBrowser } from './harness/page.js';
import { Venues } from './harness/venues.js';

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', killAll);

const report = new Report(process.argv.slice(2));
const directory = join(targetDirectory(), 'console');
mkdirSync(directory, { recursive: true });

let node;
let browser;
let venues;
try {
  await units({ report });
  node = await Node.start();
  venues = await Venues.open(node);
  browser = await openBrowser();
  const context = { report, browser, node, venues, directory };
  for (const journey of [board, watch, sessions, access, pictures, configuration, endurance]) await journey(context);
} catch (error) {
  await report.case('the run comes to its end', () => {
    throw error;
  });
} finally {
  await browser?.close();
  await venues?.close();
}
if (node) {
  await report.case('the server ends in order', async () => {
    const { code, signal } = await node.stop();
    if (code !== 0) throw new Error(`ended with ${code ?? signal}\n${node.log()}`);
  });
}
process.exitCode = report.close(join(directory, 'results.json'), 'console') ? 0 : 1;
