// Holds a running Flambeau against its protocols' own test suites.
//
//   node run.js [PART OF A CASE'S NAME]...
//
// h2spec asks the edge of RFC 9113 and RFC 7541, over TLS and in the clear; schemathesis asks the admin interface of
// its OpenAPI document. scripts/setup installs both into the target directory. FLAMBEAU_PROFILE and FLAMBEAU are as
// in tests/players.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Process, killAll } from '../players/harness/process.js';
import { Report, demand } from '../players/harness/report.js';
import { Flambeau, targetDirectory } from '../players/harness/server.js';
import { ClockEncoder } from '../players/harness/venue.js';

const FEED = 'clock';
const TOOLS = join(targetDirectory(), 'tools');
const DIRECTORY = join(targetDirectory(), 'conformance');
// What nginx 1.22 passes of h2spec's 146.
const H2SPEC_PASSED_MIN = 120;
const H2SPEC_MS_MAX = 120_000;
const SCHEMATHESIS_CONFIG = fileURLToPath(new URL('schemathesis/schemathesis.toml', import.meta.url));
const API_SECONDS = 60;
const API_MS_MAX = 240_000;
// So that a run that fails can be had again.
const API_SEED = 20261122;

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', killAll);
mkdirSync(DIRECTORY, { recursive: true });

const report = new Report(process.argv.slice(2));
try {
  // An answer to each request of a suite, however fast it asks.
  const unlimited = 'requests_per_second_max = 1000000';
  await against(`${unlimited}\n${certificate()}`, async (server) => {
    await report.case('h2spec over TLS', () => h2spec(server, 'tls', ['--tls', '--insecure']));
  });
  await against(unlimited, async (server) => {
    await server.established(FEED);
    await report.case('h2spec in the clear', () => h2spec(server, 'clear', []));
    await report.case('schemathesis finds the API as its OpenAPI document says', () => schemathesis(server));
  });
} catch (error) {
  await report.case('the run comes to its end', () => {
    throw error;
  });
}
process.exitCode = report.close(join(DIRECTORY, 'results.json'), 'conformance') ? 0 : 1;

/** Runs `cases` against a server with these keys of `[edge.http]` and a venue. */
async function against(http, cases) {
  const server = await Flambeau.start([FEED], { http });
  const venue = new ClockEncoder(server.publish(FEED));
  try {
    await cases(server);
  } finally {
    await venue.stop();
    const { code, signal } = await server.stop();
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal}\n${server.log()}`);
  }
}

/** A certificate of this machine for a day or two, as `[edge.http]` is told of it. */
function certificate() {
  const [chain, key] = ['localhost.crt', 'localhost.key'].map((name) => join(DIRECTORY, name));
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', chain], { stdio: 'ignore' });
  return `certificate = "${chain}"\nkey = "${key}"`;
}

/** h2spec ends with 1 where a case fails: what counts is how many pass. */
async function h2spec(server, name, more) {
  const junit = join(DIRECTORY, `h2spec-${name}.xml`);
  const path = `/${FEED}/index.m3u8`;
  const options = [...more, '--host', '127.0.0.1', '--port', String(server.ports.http), '--path', path, '--junit-report', junit];
  const said = await ended(join(TOOLS, 'h2spec'), options, H2SPEC_MS_MAX);
  const [, total, passed, skipped, failed] =
    said.match(/(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/) ?? [];
  if (!total) throw new Error(`h2spec gave no result:\n${said.slice(-2000)}`);
  const figures = { passed: `${passed} of ${total}`, skipped, failed };
  const faults = [];
  if (!(Number(passed) >= H2SPEC_PASSED_MIN)) {
    faults.push(`passes ${passed} of ${total}, ${H2SPEC_PASSED_MIN} are needed`, ...failures(junit));
  }
  demand(faults, figures);
  return figures;
}

/** The cases that failed, of a JUnit report. */
function failures(junit) {
  if (!existsSync(junit)) return [];
  const cases = readFileSync(junit, 'utf8').matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>\s*<failure/g);
  return [...cases].map(([, section, name]) => `  ${section}: ${name}`);
}

async function schemathesis(server) {
  const address = `${server.admin}/api/v1/openapi.json`;
  const said = await ended(
    join(TOOLS, 'schemathesis', 'bin', 'schemathesis'),
    [
      ...['--config-file', SCHEMATHESIS_CONFIG, 'run', address, '--header', `Authorization: Bearer ${server.token}`, '--no-color'],
      ...['--seed', String(API_SEED), '--phases', 'examples,coverage,fuzzing', '--max-time', String(API_SECONDS)],
      // A stream of events has no end to be waited for.
      ...['--exclude-path', '/api/v1/stream', '--generation-database', 'none', '--request-timeout', '20'],
      ...['--continue-on-failure', '--report', 'junit', '--report-junit-path', join(DIRECTORY, 'schemathesis.xml')],
    ],
    API_MS_MAX,
    (code) => code === 0,
  );
  const [, cases] = said.match(/(\d+) generated/) ?? [];
  if (server.process.end) throw new Error(`the server ended\n${server.log()}`);
  return { cases, seed: API_SEED };
}

/** Runs a tool to its end, and gives what it said. `good` tells by the exit code whether that was as it should be. */
async function ended(command, args, timeoutMs, good = () => true) {
  const tool = new Process(command, args, { cwd: DIRECTORY });
  tool.child.stdin.end();
  const timer = setTimeout(() => tool.child.kill('SIGKILL'), timeoutMs);
  const { code, signal, error } = await tool.ended;
  clearTimeout(timer);
  if (error) throw new Error(`${command}: ${error.message}; scripts/setup installs it`);
  if (signal) throw new Error(`${command} did not end within ${timeoutMs / 1000} s:\n${tool.stdout.slice(-2000)}`);
  if (!good(code)) throw new Error(`${command} ended with ${code}:\n${tool.stdout.slice(-8000)}${tool.stderr}`);
  return tool.stdout;
}
