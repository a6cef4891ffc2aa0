import type { TestProject } from 'vitest/node';
import { isInstalled } from '../cloud/deploy/emulator.ts';
import startServers from './services.ts';

/** For a vitest project: the servers, unless the emulator is missing and every test is skipped. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  return isInstalled() ? startServers(project) : undefined;
}
