// The main case: every player plays an ordinary feed for a minute, and nothing happens.

import { PAIRS } from '../harness/browser.js';
import { sleep } from '../harness/process.js';
import { demand } from '../harness/report.js';
import { steadyFaults, summary } from '../harness/verdict.js';
import { settled } from '../harness/viewing.js';

export async function steady({ report, browser, server, feed, seconds }) {
  for (const pair of PAIRS) {
    await Promise.all(
      pair.map((name) =>
        report.case(`${name} plays ${seconds} s without a stall`, async () => {
          const viewer = await browser.play(name, server.channel(feed));
          try {
            const before = await settled(viewer);
            await sleep(seconds * 1000);
            const after = await viewer.figures();
            const figures = summary(before, after);
            demand(steadyFaults(before, after, { framesPerSecond: 25 }), figures);
            return figures;
          } finally {
            await viewer.close();
          }
        }),
      ),
    );
  }
}
