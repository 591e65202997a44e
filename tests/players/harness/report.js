// One line a case, and the sum of them.

import { writeFileSync } from 'node:fs';

/** The cases run so far. `wanted` picks cases by a part of their names; all where it is empty. */
export class Report {
  constructor(wanted = []) {
    Object.assign(this, { wanted, cases: [], onceMore: null });
  }

  wants(name) {
    if (this.onceMore) return this.onceMore.has(name);
    return this.wanted.length === 0 || this.wanted.some((part) => name.includes(part));
  }

  /** Runs a case: `body` gives its figures, or throws what is wrong. */
  async case(name, body) {
    if (!this.wants(name)) return;
    const started = Date.now();
    const result = { name, ok: true, seconds: 0, figures: {} };
    try {
      result.figures = (await body()) ?? {};
    } catch (error) {
      result.ok = false;
      result.fault = error instanceof Fault ? error.message : error.stack;
      result.figures = error.figures ?? {};
    }
    result.seconds = Math.round((Date.now() - started) / 100) / 10;
    this.cases.push(result);
    const figures = Object.entries(result.figures).map(([key, value]) => `${key} ${value}`);
    const took = result.seconds >= 1 ? [`${result.seconds} s`] : [];
    console.log(`${result.ok ? 'ok' : 'not ok'} - ${name} (${[...took, ...figures].join(', ')})`);
    if (result.fault) console.log(result.fault.replace(/^/gm, '    '));
  }

  /**
   * Runs a group of cases in which players play in real time, and those that failed once more: they share two cores with
   * each other, the encoder and the server, and any other work on the machine is a stall in one of them. What fails
   * twice has failed; what did not is told of.
   */
  async group(body) {
    const first = this.cases.length;
    await body();
    const failed = this.cases.slice(first).filter(({ ok }) => !ok);
    if (!failed.length) return;
    console.log(`once more: ${failed.map(({ name }) => name).join('; ')}`);
    this.cases = this.cases.filter((one) => !failed.includes(one));
    this.onceMore = new Set(failed.map(({ name }) => name));
    try {
      await body();
    } finally {
      this.onceMore = null;
    }
    for (const { name, fault } of failed) {
      const again = this.cases.find((one) => one.name === name);
      if (again) again.firstFault = fault;
      else this.cases.push({ name, ok: false, fault, seconds: 0, figures: {} });
    }
  }

  /** Writes all of it as JSON, and says whether every case of `suite` passed. */
  close(file, suite = 'players') {
    const failed = this.cases.filter(({ ok }) => !ok).length;
    const summary = { passed: this.cases.length - failed, failed, cases: this.cases };
    writeFileSync(file, `${JSON.stringify(summary, null, 2)}\n`);
    console.log(`${suite}: ${summary.passed} passed, ${failed} failed; figures in ${file}`);
    return failed === 0 && this.cases.length > 0;
  }
}

/** What a case found wrong. `figures` are printed all the same. */
export class Fault extends Error {
  constructor(message, figures) {
    super(message);
    this.figures = figures;
  }
}

/** Throws every one of `faults` as one. */
export function demand(faults, figures) {
  if (faults.length) throw new Fault(faults.join('\n'), figures);
}
