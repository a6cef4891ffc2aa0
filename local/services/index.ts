export { findDocker } from './docker.ts';
export { Failure, messageOf } from './failure.ts';
export { ownerOf, secretOf, urlsOf } from './folders.ts';
export { isFree, pickPort, releasePort } from './ports.ts';
export { asOwned } from './processes.ts';
export { silentReport, terminalReport } from './report.ts';
export { removeAbandonedStacks, type StartOptions, startServices } from './start-services.ts';
export type { Report, RunningService, ServiceName, Stack, Urls } from './types.ts';
