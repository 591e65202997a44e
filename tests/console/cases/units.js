// The console's own arithmetic, without a browser.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const CONSOLE = fileURLToPath(new URL('../../../console', import.meta.url));

export async function units({ report }) {
  const directory = mkdtempSync(join(tmpdir(), 'flambeau-console-units-'));
  const load = async (file) => {
    const { build } = createRequire(join(CONSOLE, 'package.json'))('esbuild');
    const outfile = join(directory, `${file.replaceAll('/', '-')}.mjs`);
    const options = { bundle: true, format: 'esm', outfile, logLevel: 'silent' };
    await build({ ...options, entryPoints: [join(CONSOLE, 'src', file)] });
    return import(pathToFileURL(outfile));
  };
  await report.case('server-sent events are the same however they are cut', async () => sse(await load('api/sse.ts')));
  await report.case('numbers have units, and three figures at most', async () => numbers(await load('format.ts')));
  await report.case('a Part is late against the usual, a gap is no lateness', async () => lateness(await load('state/segments.ts')));
  rmSync(directory, { recursive: true });
}

function sse({ Parser }) {
  const text = ': hello\r\nid: 7\r\nevent: snapshot\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: event\ndata:x\n\ndata\n\nevent: none\n\n';
  const wanted = [
    { event: 'snapshot', data: '{"a":\n1}', id: '7' },
    { event: 'event', data: 'x', id: '7' },
    { event: 'message', data: '', id: '7' },
  ];
  for (let size = 1; size <= text.length; size += 1) {
    const got = [];
    const parser = new Parser((message) => got.push(message));
    for (let at = 0; at < text.length; at += size) parser.push(text.slice(at, at + size));
    assert.deepEqual(got, wanted, `in pieces of ${size}`);
  }
  assert.throws(() => new Parser(() => {}).push('x'.repeat((16 << 20) + 1)));
}

function numbers({ bitRate, bytes, duration, milliseconds, percent }) {
  const plain = (text) => text.replaceAll('\u202f', ' ');
  assert.deepEqual([0, 999, 64e3, 3.456e6, 20.04e6, 123.4e6, 1.2e9, null].map(bitRate).map(plain), [
    ...['0 b/s', '999 b/s', '64 kb/s', '3.46 Mb/s', '20.0 Mb/s', '123 Mb/s', '1.20 Gb/s', '–'],
  ]);
  assert.deepEqual([0, 0.00001, 0.0123, 0.5, undefined].map(percent).map(plain), ['0.00 %', '< 0.01 %', '1.23 %', '50.0 %', '–']);
  assert.deepEqual([512, 1500, 12_345_678].map(bytes).map(plain), ['512 B', '1.5 kB', '12.3 MB']);
  assert.deepEqual([4.21, 35.6].map(milliseconds).map(plain), ['4.2 ms', '36 ms']);
  assert.deepEqual([900, 61_000, 700_000, 3.7e6, 2e8].map(duration).map(plain), ['0 s', '1 min 1 s', '11 min', '1 h 1 min', '2 d 7 h']);
}

function lateness({ merge, segments }) {
  const part = (sequence, part, at) => ({ rendition: 'v', sequence, part, at: new Date(at).toISOString(), duration_ms: 200, bytes: 1, independent: part === 0 });
  const list = [part(1, 0, 1000), part(1, 1, 1200), part(2, 0, 1530), part(2, 1, 1600), part(9, 0, 60_000), part(9, 1, 60_200), part(9, 2, 60_380)];
  const made = segments(merge(list.slice(0, 3), list.slice(1)));
  assert.deepEqual(made.map(({ sequence, parts }) => [sequence, ...parts.map(({ late_ms }) => late_ms)]), [[1, 0, 0], [2, 130, 0], [9, 0, 0, 0]]);
  // Another leading Rendition takes the place of the first.
  assert.equal(merge(list, [{ ...part(10, 0, 61_000), rendition: 'w' }]).length, 1);
}
