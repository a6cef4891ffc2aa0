import type { BuildOptions } from 'esbuild';
import { regionalCertificates } from './certificates.ts';
import { withoutEncodings } from './encodings.ts';

/** Options of every build, for the cloud and for emulation. */
export const buildOptions = (serviceDir: string, region: string) =>
  ({
    absWorkingDir: serviceDir,
    bundle: true,
    keepNames: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    plugins: [regionalCertificates(region), withoutEncodings],
    // Some drivers are CommonJS and load Node's own modules by `require`.
    banner: {
      js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);",
    },
  }) satisfies BuildOptions;
