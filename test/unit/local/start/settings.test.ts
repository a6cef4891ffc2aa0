import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readEnvFile } from '../../../../local/start/env-file.ts';
import { knownNames, readSettings } from '../../../../local/start/settings.ts';

const checkout = resolve(import.meta.dirname, '../../../..');
const folder = mkdtempSync(join(tmpdir(), 'settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

const read = (content: string, shell: NodeJS.ProcessEnv = {}) => {
  const path = join(folder, '.env');
  writeFileSync(path, content);
  return readSettings(path, shell);
};
const faultOf = (content: string, shell: NodeJS.ProcessEnv = {}): string => {
  try {
    read(content, shell);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'none';
};

describe('the settings of npm start', () => {
  it('come from the file where the shell sets nothing', () => {
    const { given, hints } = read('PORT=3001\nLIMIT_READS=0\nMAX_DEFERRALS=5', { MAX_DEFERRALS: '6' });
    expect(given).toEqual({ PORT: '3001', LIMIT_READS: '0' });
    expect(hints).toEqual([]);
  });

  it('name all faults at once, with the file and the line or the shell, and show no value', () => {
    const file = [
      'PORT=hush1',
      '',
      'MYSQL_URL=postgres://hush2',
      'LIMIT_WRITES=hush3',
      'LIMIT_READS=1/1',
      'REDIS_KEY_PREFIX="hush4',
    ];
    const fault = faultOf(file.join('\n'), { JWT_SECRET: 'hush5', LIMIT_READS: 'hush6' });
    expect(fault.split('\n').slice(1)).toEqual([
      '  .env:6: REDIS_KEY_PREFIX: Its first quote has no second one at the end of the line.',
      '  .env:1: PORT: Must be a number from 1 to 65535, or empty for 3000.',
      expect.stringMatching(/^ {2}\.env:3: MYSQL_URL begins with postgres:\/\//),
      expect.stringMatching(/^ {2}environment: JWT_SECRET: Must be 32 characters or more/),
      expect.stringMatching(/^ {2}environment: LIMIT_READS: Must be requests per seconds/),
      expect.stringMatching(/^ {2}\.env:4: LIMIT_WRITES: Must be requests per seconds/),
    ]);
    expect(fault).not.toContain('hush');
  });

  it.each([
    ['PORT=0'],
    ['PORT=65536'],
    ['PORT=3000.5'],
    ['PORT=1e3'],
    ['PORT=-1'],
    ['PORT="3000 "'],
    ['LOCAL_SERVICES=Docker'],
    ['SYNC_COUNTS_RATE=5 minutes'],
    ['SYNC_COUNTS_RATE=rate(0 minutes)'],
    ['SYNC_COUNTS_RATE=cron(1)'],
    ['MAX_DEFERRALS=0'],
    ['MAX_DEFERRALS=1.5'],
    ['MAX_DEFERRALS=many'],
    ['CORS_ORIGINS=*'],
    ['OPENSEARCH_INDEX_PREFIX=Chat_'],
    ['OPENSEARCH_INDEX_PREFIX=_chat'],
    ['OPENSEARCH_INDEX_PREFIX=a b'],
    ['OPENSEARCH_URL=localhost:9200'],
    ['REDIS_URL=redis://:a%zz@host'],
    ['RABBITMQ_URL=amqp://user:100%@host/chat'],
    ['MYSQL_URL=mysql://host:99999/chat'],
    ['JWT_SECRET=short'],
    ['LIMIT_SIGN_IN=5/0'],
  ])('refuse %s', (line) => {
    expect(faultOf(`\n${line}`)).toContain(`\n  .env:2: ${line.split('=')[0]}`);
  });

  it.each([
    ['LIMIT_READ=0', '.env:1: LIMIT_READ is not a setting. Did you mean LIMIT_READS?'],
    ['limit_reads=0', '.env:1: limit_reads is not a setting. Did you mean LIMIT_READS?'],
    ['MYSQL_URI=x', '.env:1: MYSQL_URI is not a setting. Did you mean MYSQL_URL?'],
    ['RABITMQ_URL=x', '.env:1: RABITMQ_URL is not a setting. Did you mean RABBITMQ_URL?'],
    ['CORS_ORIGIN=x', '.env:1: CORS_ORIGIN is not a setting. Did you mean CORS_ORIGINS?'],
    ['JWTSECRET=x', '.env:1: JWTSECRET is not a setting. Did you mean JWT_SECRET?'],
    ['FAVOURITE_COLOUR=x', '.env:1: FAVOURITE_COLOUR is not a setting. See .env.example.'],
  ])('hint at the unknown name in %s', (line, hint) => {
    expect(read(line).hints).toEqual([hint]);
  });

  it('hint at names of the shell only where one is mistyped for certain', () => {
    const shell = { LIMIT_READ: '0', MYSQL_PWD: 'x', REDIS_HOST: 'x', POST: 'x', TERM: 'x', PORTS: 'x' };
    expect(read('', shell).hints).toEqual([
      'environment: LIMIT_READ is not a setting. Did you mean LIMIT_READS?',
    ]);
  });

  it.each(['POWERTOOLS_LOG_LEVEL=DEBUG', 'HTTPS_PROXY=http://proxy', 'OPENSEARCH_JAVA_HOME=/java'])(
    'may be those of tools: %s',
    (line) => {
      expect(read(line).hints).toEqual([]);
    },
  );
});

describe('.env.example', () => {
  const lines = readFileSync(join(checkout, '.env.example'), 'utf8').split('\n');
  const assignments = lines.filter((line) => /^# [A-Z_]+=/.test(line)).map((line) => line.slice(2));

  it('lists every setting', () => {
    expect(assignments.map((line) => line.split('=')[0]).sort()).toEqual([...knownNames].sort());
  });

  it('shows values that are accepted', () => {
    const { given, hints } = read(assignments.join('\n'));
    expect(Object.keys(given).sort()).toEqual([...knownNames].sort());
    expect(hints).toEqual([]);
    expect(readEnvFile(join(checkout, '.env.example')).settings).toEqual([]);
  });
});
