import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { Failure, messageOf } from '../../local/services/failure.ts';
import { type Report, terminalReport } from '../../local/services/index.ts';
import { findProgram, isRoot, run } from '../../local/services/processes.ts';

const findChromium = () =>
  findProgram('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable');

/**
 * @returns the path of Chromium. Installs Debian's package if it is missing and the user is root.
 * @throws Failure that names the program to install
 */
export const chromiumPath = async (report: Report = terminalReport(process.stderr)): Promise<string> => {
  const found = findChromium();
  if (found !== undefined) return found;
  const aptGet = findProgram('apt-get');
  if (aptGet === undefined || !isRoot) {
    throw new Failure(
      `No Chromium or Chrome in PATH, and the page at /docs is tried in one. Install it${aptGet === undefined ? '.' : ': sudo apt-get install --no-install-recommends chromium'}`,
    );
  }
  const step = report.step('installing chromium (apt-get)');
  const apt = (...args: string[]) =>
    run({
      file: aptGet,
      args: ['-y', '-o', 'DPkg::Lock::Timeout=180', ...args],
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      cwd: '/',
    });
  try {
    step.detail('apt-get update');
    await apt('update');
    step.detail('');
    await apt('install', '--no-install-recommends', 'chromium');
    step.done('installed chromium');
  } catch (error) {
    step.failed();
    throw new Failure(`chromium could not be installed: ${messageOf(error)}\n  Install Chromium or Chrome.`);
  }
  const installed = findChromium();
  // Ubuntu's package of this name only points to a snap.
  if (installed === undefined) {
    throw new Failure('The package chromium brought no program of that name. Install Chromium or Chrome.');
  }
  return installed;
};

/** A headless Chromium with an empty profile of its own, gone when it is closed. */
export const openChromium = async (): Promise<{ context: BrowserContext; close: () => Promise<void> }> => {
  const profile = mkdtempSync(join(tmpdir(), 'chat-chromium-'));
  const remove = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: await chromiumPath(),
      headless: true,
      viewport: { width: 1280, height: 900 },
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    return {
      context,
      close: async () => {
        await context.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
};
