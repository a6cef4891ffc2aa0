import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { expect, it } from 'vitest';
import { packageFolder } from '../support/packages.ts';

it("trusts the region's authorities of RDS only, and checks the server's name", () => {
  const archive = unzipSync(readFileSync(join(packageFolder('dev'), 'persistMessage.zip')));
  const code = Object.entries(archive)
    .filter(([name]) => name.endsWith('.mjs'))
    .map(([, bytes]) => new TextDecoder().decode(bytes))
    .join('');
  const certificates = code
    .match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
    ?.map((pem) => new X509Certificate(pem.replaceAll('\\n', '\n')).subject);
  expect(certificates?.length).toBeGreaterThan(0);
  for (const subject of certificates ?? []) expect(subject).toContain('Amazon RDS eu-west-1 ');
  expect(code).toMatch(/verifyIdentity:!0,minVersion:"TLSv1\.2"/);
});
