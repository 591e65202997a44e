// The console as it looks, for people to look at.

import { join } from 'node:path';

import { sleep } from '../../players/harness/process.js';
import { FEEDS, LOSSY, WATCHED } from '../harness/node.js';
import { DESKTOP, PHONE, Tab } from '../harness/page.js';

const VIEWS = { feeds: 'feeds', feed: `feeds/${LOSSY}`, channels: 'channels', channel: `channels/${WATCHED}`, sessions: 'sessions', events: 'events', config: 'config' };
const LOOKS = { desktop: DESKTOP, 'desktop-light': { ...DESKTOP, colorScheme: 'light' }, phone: PHONE };

export async function pictures({ report, browser, node, directory }) {
  await report.case(`pictures of ${FEEDS.length} feeds, at a desk and on a phone`, async () => {
    for (const [name, look] of Object.entries(LOOKS)) {
      const tab = await Tab.open(browser, node, look);
      await tab.page.locator('tr[data-feed]').nth(FEEDS.length - 1).waitFor();
      for (const [view, route] of Object.entries(VIEWS)) {
        await tab.go(route);
        await sleep(view === 'channel' ? 8000 : 2500);
        await tab.page.screenshot({ path: join(directory, `${name}-${view}.png`) });
      }
      await tab.close();
    }
    return { directory };
  });
}
