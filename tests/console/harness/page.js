// The console in headless Chromium, and all that went wrong around it.

import { chromium } from 'playwright-core';

import { TOKEN } from './node.js';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
];

export const DESKTOP = { viewport: { width: 1440, height: 900 } };
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
export const NARROW = { ...PHONE, viewport: { width: 360, height: 740 } };

export async function openBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
}

/** A tab of its own, signed in unless `token` is empty. */
export class Tab {
  static async open(browser, node, { token = TOKEN, colorScheme = 'dark', ...look } = {}) {
    const context = await browser.newContext({ ...DESKTOP, ...look, colorScheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    const tab = Object.assign(new Tab(), { context, page, node, faults: [], expected: [] });
    tab.watch();
    if (token) await page.addInitScript((value) => sessionStorage.setItem('flambeau.token', value), token);
    await tab.go('');
    return tab;
  }

  watch() {
    const { page, faults, node } = this;
    const own = new Set([node.ports.admin, node.ports.http].map((port) => `127.0.0.1:${port}`));
    page.on('pageerror', (error) => faults.push(`page: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      const { host, protocol } = new URL(request.url());
      if (protocol.startsWith('http') && !own.has(host)) faults.push(`asked for ${request.url()}`);
    });
  }

  /** Leads to a view by its address: `feeds`, `channels/athletics`. */
  async go(route) {
    await this.page.goto(`${this.node.admin}/#/${route}`);
  }

  /** What an error of the console's own looks like; `expected` are parts of those that a case provokes. */
  unexpected() {
    return this.faults.filter((fault) => !this.expected.some((part) => fault.includes(part)));
  }

  heading(name) {
    return this.page.getByRole('heading', { level: 1, name });
  }

  row(feed) {
    return this.page.locator(`tr[data-feed="${feed}"]`);
  }

  async close() {
    await this.context.close();
  }
}
