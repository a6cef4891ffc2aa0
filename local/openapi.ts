// npm run openapi: writes docs/openapi.json, which generators and Postman read without a running server.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from '#lib/contracts/openapi/document.ts';

const file = join(import.meta.dirname, '../docs/openapi.json');
writeFileSync(file, `${JSON.stringify(openApiDocument(), null, 2)}\n`);
