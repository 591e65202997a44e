// The board: every feed at one look, and what is wrong with it.

import { FEEDS, GONE, LOSSY, ORDINARY, REFUSED, TOKEN, UNSEEN } from '../harness/node.js';
import { Tab } from '../harness/page.js';
import { demand } from '../../players/harness/report.js';

export async function board({ report, browser, node }) {
  await report.case('console: a token opens it, a wrong one is refused', () => signIn(browser, node));
  const tab = await Tab.open(browser, node);
  await report.case('board: every feed is there, with its state in words', () => everyFeed(tab));
  await report.case('board: problems stand first, with what is wrong', () => problems(tab));
  await report.case('board: the feed with an error is found by its words and by its state', () => findError(tab));
  await report.case('board: a column sorts, and says so', () => sorts(tab));
  await report.case("feed: bit rate, loss and RTT are drawn, streams and venue named", () => feedPage(tab));
  await report.case('board: nothing failed, nothing was asked of another host', () => demand(tab.unexpected()));
  await tab.close();
}

async function signIn(browser, node) {
  const tab = await Tab.open(browser, node, { token: '' });
  const { page } = tab;
  await tab.heading('Flambeau').waitFor();
  await page.getByLabel('Token').fill('not the token');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('does not know this token').waitFor();
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByLabel('Token').press('Enter');
  await tab.heading('Feeds').waitFor();
  await tab.row(ORDINARY[0]).waitFor();
  await page.reload();
  await tab.row(ORDINARY[0]).waitFor();
  const elsewhere = await page.evaluate(() => [localStorage.length, document.cookie].join());
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  tab.expected.push('401');
  await tab.close();
  demand([...tab.unexpected(), ...(elsewhere === '0,' ? [] : [`the token may lie elsewhere too: ${elsewhere}`])]);
}

async function everyFeed({ page, row }) {
  await page.locator('tr[data-feed]').nth(FEEDS.length - 1).waitFor();
  await page.waitForFunction(() => document.querySelector('.spark path')?.getAttribute('d').includes('L'));
  const states = await page.locator('tr[data-feed]').evaluateAll((rows) =>
    Object.fromEntries(rows.map((row) => [row.dataset.feed, row.querySelector('.state').textContent.trim()])),
  );
  const wanted = Object.fromEntries([
    ...[...ORDINARY, LOSSY].map((id) => [id, 'Live']),
    ...[REFUSED, ...UNSEEN].map((id) => [id, 'Expected']),
    [GONE, 'Waiting'],
  ]);
  const wrong = FEEDS.filter(({ id }) => states[id] !== wanted[id]).map(({ id }) => `${id}: ${states[id]}, not ${wanted[id]}`);
  const shown = page.locator(`tr[data-feed="${ORDINARY[0]}"]`);
  const text = await shown.textContent();
  if (!/H\.264/.test(text)) wrong.push(`no codec: ${text}`);
  if (!/320×180/.test(text)) wrong.push(`no size: ${text}`);
  if (!/\d\s[kM]b\/s/.test(text)) wrong.push(`no bit rate: ${text}`);
  if (!/\d\sms/.test(text)) wrong.push(`no RTT: ${text}`);
  if (!(await shown.locator('.spark path').last().getAttribute('d'))) wrong.push('an empty sparkline');
  const shapes = await page.evaluate((feeds) => new Set(feeds.map((id) => document.querySelector(`tr[data-feed="${id}"] .mark`).innerHTML)).size, [ORDINARY[0], GONE, UNSEEN[0]]);
  if (shapes !== 3) wrong.push(`three states in ${shapes} shapes`);
  demand(wrong);
  return { feeds: FEEDS.length };
}

async function problems({ page }) {
  await page.getByRole('row').filter({ hasText: 'loss' }).first().waitFor();
  const first = await page.locator('tr[data-feed]').evaluateAll((rows) => rows.slice(0, 3).map((row) => row.dataset.feed));
  const missing = [GONE, LOSSY, REFUSED].filter((id) => !first.includes(id));
  demand(missing.map((id) => `${id} is not among the first: ${first}`));
  await page.keyboard.press('p');
  await page.locator('tr[data-feed]:first-of-type[data-feed="archery"]').waitFor();
  await page.keyboard.press('p');
}

async function findError(tab) {
  const { page } = tab;
  await page.getByLabel('Filter feeds').fill('passphrase');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-feed]').length === 1);
  const error = await tab.row(REFUSED).locator('.c-error').textContent();
  await page.getByLabel('Filter feeds').fill('');
  await page.getByRole('button', { name: /^Waiting/ }).click();
  await page.waitForFunction(() => document.querySelectorAll('tr[data-feed]').length === 1);
  await tab.row(GONE).waitFor();
  await page.getByRole('button', { name: /^All/ }).click();
  return { error: error.trim() };
}

async function sorts({ page }) {
  await page.getByLabel('Problems first').uncheck();
  const head = page.getByRole('columnheader', { name: 'Feed' });
  await head.getByRole('button').click();
  const last = await page.locator('tr[data-feed]').first().getAttribute('data-feed');
  const sort = await head.getAttribute('aria-sort');
  await head.getByRole('button').click();
  await page.getByLabel('Problems first').check();
  demand([
    ...(last === 'wrestling' ? [] : [`backwards the first is ${last}`]),
    ...(sort === 'descending' ? [] : [`aria-sort is ${sort}`]),
  ]);
}

async function feedPage(tab) {
  const { page } = tab;
  await tab.row(LOSSY).getByRole('link').click();
  await tab.heading('Diving').waitFor();
  const drawn = page.locator('.plot canvas');
  await drawn.nth(2).waitFor();
  await page.waitForFunction(() => document.querySelector('.plot-now').textContent.includes('b/s'));
  const colours = await drawn.evaluateAll((all) => all.map((canvas) => new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size));
  const text = await page.getByRole('main').textContent();
  demand([
    ...colours.filter((count) => count < 8).map((count) => `a plot of ${count} colours is empty`),
    ...['H.264', 'AAC', 'eng', '127.0.0.1'].filter((word) => !text.includes(word)).map((word) => `no ${word}`),
  ]);
  await page.keyboard.press('u');
  await tab.heading('Feeds').waitFor();
}
