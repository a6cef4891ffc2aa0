// Ends with code 1 and the remedy where no Docker engine answers: `npm run test:compose` runs it before the tests.
import { findDocker } from '../../local/services/index.ts';

if ((await findDocker()) === undefined) {
  console.error(
    'npm run test:compose needs a Docker engine with Compose v2: install or start Docker until `docker version` and `docker compose version` both answer.',
  );
  process.exitCode = 1;
}
