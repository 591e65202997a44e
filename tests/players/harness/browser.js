// Headless Chromium, the server of the player pages, and what is asked of a page.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript' };
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  // Several windows at a time, and none of them is to be put to sleep.
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
];

/** The players under test, by name: the page, and which of a channel's two addresses it is given. */
export const PLAYERS = {
  'hls.js': { page: 'hls.html', address: 'index.m3u8' },
  'Shaka (HLS)': { page: 'shaka.html', address: 'index.m3u8' },
  'Shaka (DASH)': { page: 'shaka.html', address: 'manifest.mpd' },
  'dash.js': { page: 'dash.html', address: 'manifest.mpd' },
};

/** All players, two at a time: four would measure this machine rather than the server. */
export const PAIRS = [
  ['hls.js', 'dash.js'],
  ['Shaka (HLS)', 'Shaka (DASH)'],
];

/** A browser that plays pages of this directory. They have another origin than the media, as a broadcaster's have. */
export class Browser {
  static async open() {
    const server = createServer(serve);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    return Object.assign(new Browser(), { server, browser, port: server.address().port });
  }

  /**
   * Opens a player of `PLAYERS` on a channel's address and lets it play: with the settings for low latency that
   * docs/interop.md recommends, or as it is. `query` goes with the address; `begin`, in seconds since 1970, is where
   * a player is told to begin.
   */
  async play(name, channel, settings = 'none', { query = '', begin } = {}) {
    const { page: file, address } = PLAYERS[name];
    const context = await this.browser.newContext();
    const page = await context.newPage();
    const viewer = new Viewer(name, page);
    const asked = new URLSearchParams({ source: `${channel}/${address}${query}`, settings });
    if (begin) asked.set('begin', begin);
    await page.goto(`http://127.0.0.1:${this.port}/pages/${file}?${asked}`);
    return viewer;
  }

  async close() {
    await this.browser.close();
    this.server.close();
    this.server.closeAllConnections?.();
  }
}

/** One page that plays, and what went wrong around it. */
export class Viewer {
  constructor(name, page) {
    Object.assign(this, { name, page, faults: [] });
    page.on('pageerror', (error) => this.faults.push(`page: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.faults.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      const { hostname, protocol } = new URL(request.url());
      if (protocol.startsWith('http') && hostname !== '127.0.0.1') this.faults.push(`asked for ${request.url()}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) this.faults.push(`${response.status()} for ${response.url()}`);
    });
  }

  /** The figures so far, with every error that the page, the player or the network told of. */
  async figures() {
    const figures = await this.page.evaluate(() => window.figures());
    return { ...figures, errors: [...figures.errors, ...this.faults] };
  }

  /** What was read of the clock in the picture since this was last asked. */
  glass() {
    return this.page.evaluate(() => window.glass());
  }

  /** Reads the clock in every picture from now on, in place of six a second. */
  everyPicture() {
    return this.page.evaluate(() => window.everyPicture());
  }

  /** Opens the page again: it plays from the start. */
  reload() {
    return this.page.reload();
  }

  select(language) {
    return this.page.evaluate((wanted) => window.select(wanted), language);
  }

  close() {
    return this.page.context().close();
  }
}

async function serve(request, response) {
  const path = normalize(new URL(request.url, 'http://localhost').pathname);
  const file = join(ROOT, path);
  const found = file.startsWith(ROOT) && (await stat(file).catch(() => null));
  if (!found || !found.isFile()) {
    // A browser asks for an icon unbidden; its absence is not the player's error.
    response.writeHead(path === '/favicon.ico' ? 204 : 404).end();
    return;
  }
  response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(response);
}
