// For everyone: by keys alone, by axe-core's rules, on a narrow screen.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { demand } from '../../players/harness/report.js';
import { FEEDS, GONE, LOSSY, WATCHED } from '../harness/node.js';
import { NARROW, PHONE, Tab } from '../harness/page.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = ['feeds', `feeds/${LOSSY}`, 'channels', `channels/${WATCHED}`, 'sessions', 'events', 'config'];
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export async function access({ report, browser, node }) {
  await report.case('keyboard: a feed is found and left, a dialog holds the focus, all without a mouse', () => keys(browser, node));
  for (const colorScheme of ['light', 'dark']) {
    await report.case(`axe-core finds nothing, ${colorScheme}`, () => axe(browser, node, { colorScheme }));
  }
  await report.case('axe-core finds nothing on a phone', () => axe(browser, node, PHONE));
  for (const [name, look] of [['390', PHONE], ['360', NARROW]]) {
    await report.case(`phone: at ${name} px nothing lies beside the screen, and tables are cards`, () => narrow(browser, node, look));
  }
}

async function keys(browser, node) {
  const tab = await Tab.open(browser, node);
  const { page } = tab;
  const press = (...all) => all.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.getAttribute('aria-label'));
  const faults = [];
  const expect = async (what, found, wanted) => {
    if (!wanted.test(String(found))) faults.push(`${what}: ${found}`);
  };
  await tab.row(WATCHED).waitFor();
  await press('Tab');
  await expect('the first stop', await focused(), /Skip to the content/);
  await press('Enter');
  await expect('the skip link leads to', await page.evaluate(() => document.activeElement.id), /^main$/);
  await press('2');
  await tab.heading('Channels').waitFor();
  await expect('a new view has the focus on', await focused(), /^Channels/);
  await press('1');
  await tab.heading('Feeds').waitFor();
  await press('/');
  await page.keyboard.type('fencing');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-feed]').length === 1);
  await press('Tab', 'Escape');
  await page.getByLabel('Filter feeds').evaluate((input) => input.blur());
  await press('j');
  await expect('the first row', await page.evaluate(() => document.activeElement.closest('tr')?.dataset.feed), new RegExp(`^${GONE}$`));
  await press('Enter');
  await tab.heading('Fencing').waitFor();
  await press('u');
  await tab.heading('Feeds').waitFor();
  await press('/', 'Escape', 'Escape', '?');
  await page.getByRole('dialog').waitFor();
  for (let step = 0; step < 8; step += 1) {
    await press('Tab');
    const inside = await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest('dialog') !== null);
    if (!inside) faults.push('the focus left the dialog');
  }
  await press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const ring = await page.evaluate(() => {
    document.querySelector('.places a').focus();
    return getComputedStyle(document.querySelector('.places a')).outlineStyle;
  });
  await expect('the focus is drawn', ring, /solid|auto/);
  await tab.close();
  demand([...faults, ...tab.unexpected()]);
}

async function axe(browser, node, look) {
  const tab = await Tab.open(browser, node, look);
  const { page } = tab;
  const found = [];
  for (const view of VIEWS) {
    await tab.go(view);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(1500);
    found.push(...(await violations(page)).map((fault) => `${view}: ${fault}`));
  }
  await tab.go('feeds');
  await page.evaluate(() => document.querySelector('main').focus());
  await page.keyboard.press('?');
  found.push(...(await violations(page)).map((fault) => `shortcuts: ${fault}`));
  await tab.close();
  demand(found);
  return { views: VIEWS.length + 1 };
}

async function violations(page) {
  // The page's own policy forbids what comes from elsewhere: the driver's evaluation is not of the page.
  await page.evaluate(AXE);
  return page.evaluate(async (tags) => {
    const { violations } = await window.axe.run(document, { runOnly: tags });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')}`);
  }, TAGS);
}

async function narrow(browser, node, look) {
  const tab = await Tab.open(browser, node, look);
  const { page } = tab;
  await page.locator('tr[data-feed]').nth(FEEDS.length - 1).waitFor();
  const faults = [];
  for (const view of VIEWS) {
    await tab.go(view);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(1200);
    const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    if (wide > look.viewport.width || room > look.viewport.width) faults.push(`${view} is ${wide} px wide`);
  }
  await tab.go('feeds');
  const card = await tab.row(WATCHED).evaluate((row) => getComputedStyle(row).display);
  if (card !== 'grid') faults.push(`a row is drawn as ${card}`);
  await page.getByRole('navigation').getByRole('link', { name: /Sessions/ }).tap();
  await tab.heading('Sessions').waitFor();
  await tab.close();
  demand([...faults, ...tab.unexpected()]);
}
