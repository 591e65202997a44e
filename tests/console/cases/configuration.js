// The configuration: a change, a mistake, what would drop a live channel, and the way back.

import { demand } from '../../players/harness/report.js';
import { WATCHED } from '../harness/node.js';
import { Tab } from '../harness/page.js';

const LABEL = 'Athletics, track and field';

export async function configuration({ report, browser, node }) {
  const tab = await Tab.open(browser, node);
  await report.case('configuration: a label is changed, seen on the board, and noticed by no session', () => label(tab, node));
  await report.case('configuration: a mistake shows its line and its remedy, and is not applied', () => mistake(tab, node));
  await report.case('configuration: what drops a live channel asks in so many words', () => drops(tab, node));
  await report.case('configuration: revisions are compared, and one is restored', () => restores(tab));
  tab.expected.push('409', '422');
  await report.case('configuration: nothing else failed', () => demand(tab.unexpected()));
  await tab.close();
}

const field = (page) => page.getByLabel('Configuration, TOML');

/** Replaces a part of the text, as typing would. */
async function replace(page, from, to) {
  const text = await field(page).inputValue();
  if (!text.includes(from)) throw new Error(`the configuration has no ${from}`);
  await field(page).fill(text.replaceAll(from, to));
}

/** The present text, whatever a case before left. */
async function open(tab) {
  await tab.go('config');
  await field(tab.page).waitFor();
  const discard = tab.page.getByRole('button', { name: 'Discard the changes' });
  if (await discard.isEnabled()) await discard.click();
}

const lasting = async (node) =>
  (await node.api('sessions')).sessions.filter(({ kind }) => kind !== 'watch').map(({ id }) => id).sort();

async function label(tab, node) {
  const { page } = tab;
  const before = await lasting(node);
  await open(tab);
  await replace(page, 'label = "Athletics"', `label = "${LABEL}"`);
  await page.getByText('Not applied').waitFor();
  await page.getByRole('button', { name: 'Apply…' }).click();
  const dialog = page.getByRole('dialog');
  const changes = await dialog.textContent();
  demand(changes.includes(WATCHED) ? [] : [`the changes do not name ${WATCHED}: ${changes}`]);
  await dialog.getByLabel('Comment').fill('A fuller name');
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('row').filter({ hasText: 'A fuller name' }).filter({ hasText: 'Current' }).waitFor();
  await tab.go('feeds');
  await tab.row(WATCHED).getByText(LABEL).waitFor();
  const after = await lasting(node);
  const lost = before.filter((id) => !after.includes(id));
  demand(lost.map((id) => `session ${id} was disturbed`));
  return { sessions: before.length };
}

async function mistake(tab, node) {
  const { page } = tab;
  const { revision } = await node.api('config');
  await open(tab);
  const text = await field(page).inputValue();
  const line = text.split('\n').findIndex((text) => text.includes(`label = "${LABEL}"`)) + 1;
  await replace(page, `[[feeds]]\nid = "${WATCHED}"\nlabel`, `[[feeds]]\nid = "${WATCHED}"\nlabl`);
  await page.getByRole('button', { name: 'Check' }).click();
  await page.getByRole('button', { name: `Line ${line}`, exact: true }).waitFor();
  await page.locator('.line-number.marked').getByText(String(line), { exact: true }).waitFor();
  const caret = await field(page).evaluate((field) => field.value.slice(0, field.selectionStart).split('\n').length);
  const said = await page.locator('.problem').first().textContent();
  await page.getByRole('button', { name: 'Apply…' }).click();
  await page.getByRole('button', { name: `Line ${line}`, exact: true }).waitFor();
  const asked = await page.getByRole('dialog').count();
  demand([
    ...(caret === line ? [] : [`the caret is on line ${caret}, not ${line}`]),
    ...(said.includes('label') ? [] : [`no remedy: ${said}`]),
    ...(asked === 0 ? [] : ['it would apply it']),
    ...((await node.api('config')).revision === revision ? [] : ['it was applied']),
  ]);
  await page.getByRole('button', { name: 'Discard the changes' }).click();
  return { said };
}

async function drops(tab, node) {
  const { page } = tab;
  await open(tab);
  const text = await field(page).inputValue();
  const block = text.match(/\[\[channels\]\]\nid = "tennis"[^[]*/)[0];
  await replace(page, block, '');
  await page.getByRole('button', { name: 'Apply…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('It drops what is live').waitFor();
  const apply = dialog.getByRole('button', { name: 'Apply, and drop them' });
  demand((await apply.isDisabled()) ? [] : ['it would drop it without being told to']);
  await dialog.getByLabel(/I know that this cuts off .*channel tennis/).check();
  await apply.click();
  await dialog.waitFor({ state: 'detached' });
  await page.waitForFunction(
    async () => !(document.querySelector('.badge.tone-warn')?.textContent ?? '').includes('Not applied'),
  );
  const left = (await node.api('channels')).channels.filter(({ id }) => id === 'tennis');
  demand(left.length === 0 || left[0].state === 'off_air' ? [] : ['the channel is still there']);
}

async function restores(tab) {
  const { page } = tab;
  await open(tab);
  const first = page.locator('tr[data-revision]').last();
  const number = await first.getAttribute('data-revision');
  await first.getByRole('button', { name: /^Compare/ }).click();
  await page.locator('.diff-line').first().waitFor();
  const removed = await page.locator('.diff-line').allTextContents();
  demand(removed.some((line) => /^[-+].*Athletics/.test(line)) ? [] : [`the differences are ${removed.slice(0, 8)}`]);
  await page.keyboard.press('Escape');
  await first.getByRole('button', { name: /^Restore/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await tab.go('feeds');
  await tab.row(WATCHED).getByText('Athletics', { exact: true }).waitFor();
  await tab.go('channels');
  await page.locator('tr[data-channel="tennis"]').getByText('On air').waitFor();
  return { revision: number };
}
