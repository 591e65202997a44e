// A channel as its viewers have it: the picture, its latency, its Parts.

import { demand } from '../../players/harness/report.js';
import { sleep } from '../../players/harness/process.js';
import { LOCKED, WATCHED } from '../harness/node.js';
import { Tab } from '../harness/page.js';

const WATCH_MS = 12_000;
const LATENCY_SECONDS_MAX = 6;

export async function watch({ report, browser, node }) {
  const tab = await Tab.open(browser, node);
  await report.case('channel: it plays, and says how far behind it is', () => plays(tab));
  await report.case('channel: its Parts are drawn as they come', () => partsGrow(tab));
  await report.case('channel: the player is a session of the node’s', () => counted(tab));
  await report.case('channel: one that is not public asks for a broadcaster’s token, and plays with it', () => locked(tab));
  tab.expected.push('401');
  await report.case('channel: nothing else failed', () => demand(tab.unexpected()));
  await tab.close();
}

async function plays(tab) {
  const { page } = tab;
  await tab.go('channels');
  await page.locator(`tr[data-channel="${WATCHED}"]`).getByRole('link').first().click();
  await tab.heading('Athletics').waitFor();
  await page.waitForFunction(() => document.querySelector('video')?.currentTime > 0, null, { timeout: 30_000 });
  const before = await look(page);
  await sleep(WATCH_MS);
  const after = await look(page);
  const played = after.time - before.time;
  demand(
    [
      ...(after.latency > 0 && after.latency < LATENCY_SECONDS_MAX ? [] : [`the latency shown is ${after.latency}`]),
      ...(played > (WATCH_MS / 1000) * 0.7 ? [] : [`${played.toFixed(1)} s played in ${WATCH_MS / 1000} s`]),
      ...(after.width === 320 ? [] : [`the picture is ${after.width} wide`]),
    ],
    after,
  );
  return { latency: after.latency, started: after.started, stalls: after.stalls };
}

function look(page) {
  return page.evaluate(() => {
    const video = document.querySelector('video');
    const fact = (name) =>
      [...document.querySelectorAll('.player dt')].find((dt) => dt.textContent === name)?.nextElementSibling.textContent;
    const latency = Number(document.querySelector('.latency').dataset.latency);
    return {
      time: video.currentTime,
      width: video.videoWidth,
      latency: Math.round(latency * 100) / 100,
      started: fact('Started in'),
      stalls: fact('Stalls'),
    };
  });
}

async function partsGrow({ page }) {
  await page.getByText('Parts as a table').click();
  const newest = () => page.locator('.part-table tbody th').first().textContent();
  const first = await newest();
  await page.waitForFunction((first) => document.querySelector('.part-table tbody th').textContent !== first, first);
  await sleep(3000);
  const drawn = await page.locator('.timeline .part').count();
  const independent = await page.locator('.timeline .part.independent').count();
  const segments = await page.locator('.timeline .segment-name').allTextContents();
  const growing = segments.map(Number).every((sequence, index, all) => index === 0 || sequence === all[index - 1] + 1);
  demand([
    ...(drawn >= 15 ? [] : [`${drawn} Parts are drawn`]),
    ...(independent > 0 ? [] : ['none starts with a picture of its own']),
    ...(growing ? [] : [`the Segments are ${segments}`]),
  ]);
  return { parts: drawn, sum: await page.locator('.timeline-sum').textContent() };
}

async function counted(tab) {
  const { page } = tab;
  await page.getByRole('link', { name: /viewer/ }).click();
  await tab.heading('Sessions').waitFor();
  await page.getByRole('row').filter({ hasText: 'Watches' }).filter({ hasText: WATCHED }).first().waitFor();
}

async function locked(tab) {
  const { page } = tab;
  await tab.go(`channels/${LOCKED}`);
  await page.getByText('This channel is not public').waitFor();
  await page.getByLabel('Broadcaster’s token').fill('the token of rtx');
  await page.getByRole('button', { name: 'Play' }).click();
  await page.waitForFunction(() => document.querySelector('video')?.currentTime > 0, null, { timeout: 30_000 });
}
