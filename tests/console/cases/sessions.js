// Who takes what, and the way to end it; what the node says of it.

import { demand } from '../../players/harness/report.js';
import { until } from '../../players/harness/process.js';
import { BROADCASTER } from '../harness/node.js';
import { Tab } from '../harness/page.js';

const PULLED = 'rowing';

export async function sessions({ report, browser, node, venues }) {
  const tab = await Tab.open(browser, node);
  const puller = venues.pull(PULLED);
  await report.case('sessions: a broadcaster is there with what it receives', () => receives(tab));
  await report.case('sessions: one is ended, after a question that names it', () => ends(tab, puller));
  await puller.stop();
  await report.case('events: what happens comes by itself, filters and holds still', () => events(tab, venues));
  await report.case('sessions: nothing failed', () => demand(tab.unexpected()));
  await tab.close();
}

function pulling({ page }) {
  return page.getByRole('row').filter({ hasText: `Pulls ${PULLED}` });
}

async function receives(tab) {
  const { page } = tab;
  await tab.go('sessions');
  await page.getByLabel('Filter sessions').fill(`${BROADCASTER} ${PULLED}`);
  await pulling(tab).waitFor();
  await page.waitForFunction(() => /\d\s[kM]b\/s/.test(document.querySelector('tr[data-session]')?.textContent ?? ''));
  return { row: (await pulling(tab).locator('.number').allTextContents()).join(' · ') };
}

async function ends(tab, puller) {
  const { page } = tab;
  await pulling(tab).getByRole('button', { name: /^End/ }).click();
  const dialog = page.getByRole('dialog');
  const text = await dialog.textContent();
  demand([BROADCASTER, PULLED, '127.0.0.1', 'SRT'].filter((word) => !text.includes(word)).map((word) => `it does not name ${word}: ${text}`));
  await dialog.getByRole('button', { name: 'Keep it' }).click();
  await dialog.waitFor({ state: 'detached' });
  demand(puller.end ? ['it ended although it was kept'] : []);
  await pulling(tab).getByRole('button', { name: /^End/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End the session' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await until('the broadcaster is turned away', () => puller.end, 20_000);
  await page.getByText('No session is like that').waitFor();
}

async function events(tab, venues) {
  const { page } = tab;
  await tab.go('events');
  await page.locator('.event').first().waitFor();
  await page.getByLabel('Filter events').fill('tennis');
  const shown = () => page.locator('.event').count();
  const before = await shown();
  const puller = venues.pull('tennis');
  await page.waitForFunction((before) => document.querySelectorAll('.event').length > before, before);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Pause' }).click();
  const held = await shown();
  await puller.stop();
  await page.getByRole('button', { name: /Continue \(\d+ new\)/ }).waitFor();
  demand((await shown()) === held ? [] : ['it moved while it was held']);
  await page.getByRole('button', { name: /Continue/ }).click();
  await page.getByRole('button', { name: /^Warnings/ }).click();
  const levels = await page.locator('.event .state').allTextContents();
  demand(levels.includes('Info') ? [`among the warnings: ${levels}`] : []);
  return { warnings: levels.length };
}
