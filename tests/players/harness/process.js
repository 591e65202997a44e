// Child processes that never outlive the run.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';

const alive = new Set();
const TAIL_BYTES_MAX = 64 * 1024;
const END_MS_MAX = 15_000;

/** A child process with the end of what it wrote. `passOn` leaves its standard output to whoever is given it. */
export class Process {
  constructor(command, args, { passOn = false, ...options } = {}) {
    this.command = command;
    this.stdout = '';
    this.stderr = '';
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    alive.add(this);
    for (const name of passOn ? ['stderr'] : ['stdout', 'stderr']) {
      this.child[name]?.setEncoding('utf8').on('data', (text) => {
        this[name] = (this[name] + text).slice(-TAIL_BYTES_MAX);
      });
    }
    // A child that ends while it is written to is found out by its exit code.
    this.child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve({ code: null, error }));
      this.child.once('exit', (code, signal) => resolve({ code, signal }));
    }).then((end) => {
      alive.delete(this);
      this.end = end;
      return end;
    });
  }

  /** Ends the process: `signal`, and SIGKILL where that does not do. */
  async stop(signal = 'SIGTERM') {
    if (this.end) return this.end;
    this.child.kill(signal);
    const patience = new AbortController();
    const late = sleep(END_MS_MAX, 'late', { signal: patience.signal }).catch(() => {});
    if ((await Promise.race([this.ended, late])) === 'late') this.child.kill('SIGKILL');
    patience.abort();
    return this.ended;
  }
}

/** Runs a command to its end. The rejection carries what it wrote. */
export async function run(command, args, { timeoutMs = 120_000, ...options } = {}) {
  const process = new Process(command, args, options);
  process.child.stdin?.end();
  const timer = setTimeout(() => process.child.kill('SIGKILL'), timeoutMs);
  const { code, signal, error } = await process.ended;
  clearTimeout(timer);
  if (error) throw new Error(`${command}: ${error.message}`);
  if (code !== 0) throw new Error(`${command} ended with ${code ?? signal}:\n${process.stderr.slice(-4000)}`);
  return process;
}

/** Ends whatever still runs, at once. */
export function killAll() {
  for (const process of alive) process.child.kill('SIGKILL');
}

/** A port that nobody on this machine listens at just now. */
export async function freePort(protocol) {
  const [socket, listen] =
    protocol === 'udp'
      ? [createSocket('udp4'), (s, done) => s.bind(0, '127.0.0.1', done)]
      : [createServer(), (s, done) => s.listen(0, '127.0.0.1', done)];
  await new Promise((resolve, reject) => {
    socket.once('error', reject);
    listen(socket, resolve);
  });
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** Waits until `probe` gives something true, and gives that. */
export async function until(what, probe, timeoutMs = 20_000, everyMs = 100) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await Promise.resolve()
      .then(probe)
      .catch(() => null);
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(everyMs);
  }
}

export { sleep };
