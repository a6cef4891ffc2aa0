import type { Report } from '../services/index.ts';

export const count = (value: number) => value.toLocaleString('en');
export const seconds = (ms: number) =>
  ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000).toString();

export const bar = (done: number, all: number, sinceMs: number) => {
  const full = Math.floor((24 * done) / all);
  const rate = Math.round(done / Math.max(0.001, (performance.now() - sinceMs) / 1000));
  return `${'█'.repeat(full)}${'░'.repeat(24 - full)} ${count(done)} of ${count(all)}, ${count(rate)}/s`;
};

/** Reports a piece of work as one step. */
export const during = async <Result>(
  report: Report,
  what: string,
  work: (detail: (text: string) => void) => Promise<{ outcome: string; result: Result }>,
): Promise<Result> => {
  const step = report.step(what);
  try {
    const { outcome, result } = await work(step.detail);
    step.done(outcome);
    return result;
  } catch (error) {
    step.failed();
    throw error;
  }
};
