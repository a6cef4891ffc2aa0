import { describe, expect, it } from 'vitest';
import { checkUrl, withoutPassword } from '../../../../local/services/probes.ts';

describe('checkUrl', () => {
  it.each([
    ['mysql', 'mysql://u:p@host:3306/db'],
    ['redis', 'redis://host'],
    ['redis', 'rediss://:secret@host:6380/1'],
    ['rabbitmq', 'amqp://u:p@host/vhost'],
    ['rabbitmq', 'amqps://u:p@host'],
    ['opensearch', 'https://u:p@host'],
  ] as const)('takes for %s %s', (name, url) => {
    expect(checkUrl(name, url).href).toContain('host');
  });

  it.each([
    ['mysql', 'localhost', 'MYSQL_URL is not a URL'],
    ['mysql', 'postgres://host/db', 'MYSQL_URL begins with postgres://'],
    ['mysql', 'mysql://host', 'MYSQL_URL names no database'],
    ['redis', 'http://host', 'REDIS_URL begins with http://'],
    ['rabbitmq', 'amqp:///vhost', 'RABBITMQ_URL names no host'],
    ['opensearch', 'host:9200', 'OPENSEARCH_URL begins with host://'],
  ] as const)('refuses for %s %s', (name, url, message) => {
    expect(() => checkUrl(name, url)).toThrow(message);
  });
});

describe('withoutPassword', () => {
  it('shows where a server is and nothing secret', () => {
    expect(withoutPassword('mysql://user:secret@host:3306/chat')).toBe('host:3306/chat');
    expect(withoutPassword('http://user:secret@host:9200/')).toBe('host:9200');
  });
});
