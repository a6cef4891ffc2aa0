import type { Report, Step } from './types.ts';

const quietMs = 2_000;
const plainEveryMs = 5_000;

interface Active {
  what: string;
  detail: string;
  since: number;
  saidAt: number;
}

const seconds = (ms: number): string =>
  ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000).toString();

/**
 * Shows steps on a terminal. A TTY shows one line that changes. Other streams get a line every five seconds for each step
 * of more than two seconds. A finished step leaves one line.
 */
export const terminalReport = (out: NodeJS.WriteStream): Report => {
  const active = new Set<Active>();
  let timer: NodeJS.Timeout | undefined;
  const tty = out.isTTY === true;

  const clear = () => {
    if (tty) out.write('\r\x1b[K');
  };
  const say = (line: string) => {
    clear();
    out.write(`${line}\n`);
  };
  const describe = (step: Active, now: number) =>
    `${step.what}${step.detail === '' ? '' : ` (${step.detail})`} … ${seconds(now - step.since)} s`;
  const tick = () => {
    const now = performance.now();
    const slow = [...active].filter((step) => now - step.since > quietMs);
    if (tty && slow.length > 0) {
      const line = slow.map((step) => describe(step, now)).join(' · ');
      clear();
      // A full line would wrap, and only its last row would be cleared.
      out.write(line.slice(0, Math.max(20, out.columns - 1)));
    } else if (!tty) {
      for (const step of slow) {
        if (now - step.saidAt < plainEveryMs) continue;
        step.saidAt = now;
        say(`  ${describe(step, now)}`);
      }
    }
  };
  const ended = (step: Active) => {
    active.delete(step);
    if (active.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };

  return {
    say,
    step: (what: string): Step => {
      const now = performance.now();
      const step: Active = { what, detail: '', since: now, saidAt: now - plainEveryMs };
      active.add(step);
      timer ??= setInterval(tick, tty ? 200 : 500).unref();
      return {
        detail: (text) => {
          step.detail = text;
        },
        done: (outcome) => {
          ended(step);
          say(`  ✓ ${outcome ?? what} (${seconds(performance.now() - step.since)} s)`);
        },
        failed: () => {
          ended(step);
          say(`  ✗ ${what} (${seconds(performance.now() - step.since)} s)`);
        },
      };
    },
  };
};

/** Prints nothing. */
export const silentReport: Report = {
  say: () => undefined,
  step: () => ({ detail: () => undefined, done: () => undefined, failed: () => undefined }),
};
