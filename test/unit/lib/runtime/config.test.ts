import { describe, expect, it } from 'vitest';
import { readConfig } from '#lib/runtime/config.ts';

const complete = {
  MYSQL_URL: 'mysql://chat:secret@127.0.0.1:3306/chat',
  REDIS_URL: 'redis://:secret@127.0.0.1:6379',
  RABBITMQ_URL: 'amqp://chat:secret@127.0.0.1:5672',
  OPENSEARCH_URL: 'http://127.0.0.1:9200',
  JWT_SECRET: 'x'.repeat(32),
};

const faultOf = (variables: Record<string, string>): string => {
  try {
    readConfig(variables);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'none';
};

describe('the environment', () => {
  it('is accepted when it is complete; optional settings have defaults', () => {
    expect(readConfig(complete)).toEqual({
      ...complete,
      JWT_SECRET: [complete.JWT_SECRET],
      REDIS_KEY_PREFIX: '',
      OPENSEARCH_INDEX_PREFIX: '',
      CORS_ORIGINS: [],
      TRUSTED_PROXIES: 0,
      METRICS_NAMESPACE: 'chat',
      MAX_DEFERRALS: 600,
      PING_SECONDS: 30,
      LIMIT_SIGN_UP: { count: 60, seconds: 3_600 },
      LIMIT_SIGN_IN: { count: 40, seconds: 60 },
      LIMIT_BAD_TOKENS: { count: 600, seconds: 60 },
      LIMIT_READS: { count: 12_000, seconds: 60 },
      LIMIT_WRITES: { count: 6_000, seconds: 60 },
    });
  });

  it('may be without OpenSearch, and encrypted in transit', () => {
    expect(readConfig({ ...complete, OPENSEARCH_URL: '' }).OPENSEARCH_URL).toBeUndefined();
    const secure = {
      REDIS_URL: 'rediss://redis:6379',
      RABBITMQ_URL: 'amqps://broker',
      OPENSEARCH_URL: 'https://search',
    };
    expect(readConfig({ ...complete, ...secure })).toMatchObject(secure);
  });

  it('has several secrets while one is rotated', () => {
    const [first, second] = ['a'.repeat(32), 'b'.repeat(40)];
    expect(readConfig({ ...complete, JWT_SECRET: `${first},${second}` }).JWT_SECRET).toEqual([first, second]);
    expect(faultOf({ ...complete, JWT_SECRET: `${first},short` })).toContain('JWT_SECRET');
  });

  it('lists the origins of pages that may read answers', () => {
    const origins = ['https://chat.example.org', 'http://localhost:5173'];
    expect(readConfig({ ...complete, CORS_ORIGINS: origins.join(', ') }).CORS_ORIGINS).toEqual(origins);
    for (const malformed of ['*', 'null', 'https://chat.example.org/', 'chat.example.org', 'HTTPS://x.org'])
      expect(faultOf({ ...complete, CORS_ORIGINS: malformed })).toContain('CORS_ORIGINS');
  });

  it('says how many proxies are trusted', () => {
    for (const [text, count] of [
      ['', 0],
      ['0', 0],
      ['1', 1],
      ['10', 10],
    ] as const)
      expect(readConfig({ ...complete, TRUSTED_PROXIES: text }).TRUSTED_PROXIES).toBe(count);
    for (const malformed of ['-1', '1.5', '11', 'all', 'true', '0x1', ' 1', '1e1'])
      expect(faultOf({ ...complete, TRUSTED_PROXIES: malformed })).toContain('TRUSTED_PROXIES: Must be');
  });

  it('is refused in one error that names every variable that is missing', () => {
    const fault = faultOf({});
    for (const name of ['MYSQL_URL', 'REDIS_URL', 'RABBITMQ_URL', 'JWT_SECRET']) {
      expect(fault).toContain(`${name}: is not set`);
    }
    expect(fault).not.toContain('OPENSEARCH_URL');
  });

  it('is refused in one error that names every variable that is malformed, and shows no value', () => {
    const malformed = {
      MYSQL_URL: 'postgres://user:hush1@host',
      REDIS_URL: 'hush2',
      RABBITMQ_URL: 'http://hush3',
      OPENSEARCH_URL: 'ftp://hush4',
      JWT_SECRET: 'hush5',
      MAX_DEFERRALS: 'hush6',
      CORS_ORIGINS: 'https://hush7/path',
    };
    const fault = faultOf(malformed);
    for (const name of Object.keys(malformed)) expect(fault).toContain(`${name}: `);
    expect(fault).toMatch(/MYSQL_URL: Must be a URL that begins with mysql:\/\//);
    expect(fault).not.toContain('is not set');
    expect(fault).not.toContain('hush');
  });

  it.each([
    ['', { count: 6_000, seconds: 60 }],
    ['0', undefined],
    ['1/1', { count: 1, seconds: 1 }],
    ['100000/3600', { count: 100_000, seconds: 3_600 }],
  ])('limits writes by %j', (text, limit) => {
    expect(readConfig({ ...complete, LIMIT_WRITES: text }).LIMIT_WRITES).toEqual(limit);
  });

  it.each(['60', '0/60', '60/0', '-1/60', '60/1.5', '60 / 60', '60/60/60', 'off', '1e3/60', ' '])(
    'refuses the limit %j in an error that names each malformed one',
    (text) => {
      const limits = ['LIMIT_SIGN_UP', 'LIMIT_SIGN_IN', 'LIMIT_READS', 'LIMIT_WRITES'];
      const fault = faultOf({ ...complete, ...Object.fromEntries(limits.map((name) => [name, text])) });
      for (const name of limits) {
        expect(fault).toContain(`${name}: Must be requests per seconds, such as 60/3600, or 0 for no limit`);
      }
    },
  );
});
