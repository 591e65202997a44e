// What forty feeds cost a browser, and what becomes of the console when the node goes.

import { demand } from '../../players/harness/report.js';
import { sleep } from '../../players/harness/process.js';
import { FEEDS } from '../harness/node.js';
import { Tab } from '../harness/page.js';

const MEASURE_SECONDS = 20;
/** Of the main thread, a snapshot. One comes a second; this machine may be busy with more than the console. */
const COST_MS_MAX = 100;
const SHIFT_MAX = 0.01;

export async function endurance({ report, browser, node }) {
  const tab = await Tab.open(browser, node);
  await report.case('board: forty feeds cost little, and nothing moves as numbers change', () => cost(tab));
  await report.case('connection: a node that goes is told with the age of the data, one that returns is found', () => returns(tab, node));
  await tab.close();
}

async function cost({ page, context }) {
  await page.locator('tr[data-feed]').nth(FEEDS.length - 1).waitFor();
  // Rows change places where a feed's state does; what is measured here is what numbers do.
  await page.getByLabel('Problems first').uncheck();
  // Sparklines are filled from the node's memory first.
  await sleep(5000);
  const devtools = await context.newCDPSession(page);
  await devtools.send('Performance.enable');
  await page.evaluate(() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shift += entry.value))).observe({ type: 'layout-shift' });
    window.snapshots = 0;
    new MutationObserver(() => (window.snapshots += 1)).observe(document.querySelector('tbody'), { subtree: true, characterData: true });
  });
  const metrics = async () =>
    Object.fromEntries((await devtools.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const before = await metrics();
  await sleep(MEASURE_SECONDS * 1000);
  const after = await metrics();
  const ms = (name) => Math.round(((after[name] - before[name]) / MEASURE_SECONDS) * 10_000) / 10;
  const { shift, snapshots } = await page.evaluate(() => ({ shift: window.shift, snapshots: window.snapshots }));
  const figures = {
    task_ms: ms('TaskDuration'),
    script_ms: ms('ScriptDuration'),
    layout_ms: ms('LayoutDuration'),
    style_ms: ms('RecalcStyleDuration'),
    nodes: after.Nodes,
    shift,
  };
  demand(
    [
      ...(snapshots >= MEASURE_SECONDS / 2 ? [] : [`the board changed ${snapshots} times in ${MEASURE_SECONDS} s`]),
      ...(figures.task_ms <= COST_MS_MAX ? [] : [`${figures.task_ms} ms of every second`]),
      ...(shift <= SHIFT_MAX ? [] : [`rows moved by ${shift}`]),
    ],
    figures,
  );
  return figures;
}

async function returns(tab, node) {
  const { page } = tab;
  await node.process.stop('SIGKILL');
  await page.getByRole('region', { name: 'Connection' }).waitFor();
  await sleep(2500);
  const text = await page.getByRole('region', { name: 'Connection' }).textContent();
  const age = await page.locator('.connection').textContent();
  await node.run();
  await page.getByRole('button', { name: 'Try now' }).click({ timeout: 2000 }).catch(() => {});
  await page.getByRole('region', { name: 'Connection' }).waitFor({ state: 'detached', timeout: 30_000 });
  await page.getByText('Live data').waitFor();
  demand([
    ...(/connection to the node is lost/.test(text) && /is \d+\ss old/.test(text) ? [] : [`the banner says: ${text}`]),
    ...(/Data \d+\ss old/.test(age) ? [] : [`the age is: ${age}`]),
  ]);
}
