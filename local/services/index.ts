export { findDocker } from './docker.ts';
export { Failure, messageOf } from './failure.ts';
export { apiOf, ownerOf, secretOf, urlsOf } from './folders.ts';
export { isFree, pickPort, releasePort } from './ports.ts';
export { checkUrl, probe } from './probes.ts';
export { asOwned } from './processes.ts';
export { silentReport, terminalReport } from './report.ts';
export { removeAbandonedStacks, type StartOptions, startServices } from './start-services.ts';
export {
  type ApiUrls,
  type Report,
  type RunningService,
  type ServiceName,
  type Stack,
  serviceNames,
  type Urls,
  urlVariables,
} from './types.ts';
