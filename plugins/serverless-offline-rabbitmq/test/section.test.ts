import { describe, expect, it } from 'vitest';
import { readSection } from '../src/section.ts';

const url = 'amqp://localhost';
const defaults = { url: new URL(url), urls: {}, reportAfterFailures: 5 };

describe('the section custom.serverless-offline-rabbitmq is followed:', () => {
  it.each([
    [undefined, 'missing'],
    [null, 'missing'],
    [{}, 'url is empty'],
    [{ url: '' }, 'url is empty'],
    [{ urls: {} }, 'url is empty'],
    [{ urls: { shop: '' } }, 'url is empty'],
    [{ url, enabled: false }, 'enabled is false'],
    [{ url, enabled: 'false' }, 'enabled is false'],
  ])('%j turns the events off and says why', (section, why) => {
    expect(readSection(section)).toEqual({ off: expect.stringContaining(why) });
  });

  it.each([
    'amqp://localhost',
    'amqps://user:password@broker.example.org:5671/v',
    'amqp://u:p%C3%BC@h/a%2Fb',
  ])('takes %s', (given) => {
    expect(readSection({ url: given })).toEqual({ ...defaults, url: new URL(given) });
    expect(readSection({ urls: { shop: given } })).toEqual({
      urls: { shop: new URL(given) },
      reportAfterFailures: 5,
    });
  });

  it.each([
    [{ enabled: 'true' }, {}],
    [{ autoCreate: true }, { autoCreate: { arguments: {} } }],
    [{ autoCreate: 'true' }, { autoCreate: { arguments: {} } }],
    [{ autoCreate: false }, {}],
    [{ autoCreate: '' }, {}],
    [{ autoCreate: {} }, { autoCreate: { arguments: {} } }],
    [
      { autoCreate: { arguments: { 'x-queue-type': 'quorum' } } },
      { autoCreate: { arguments: { 'x-queue-type': 'quorum' } } },
    ],
    [{ reportAfterFailures: 0 }, { reportAfterFailures: 0 }],
    [{ reportAfterFailures: '12' }, { reportAfterFailures: 12 }],
  ])('takes %j', (section, options) => {
    expect(readSection({ url, ...section })).toEqual({ ...defaults, ...options });
  });
});

describe('the section custom.serverless-offline-rabbitmq', () => {
  const isUrl = 'must be the URL of a RabbitMQ broker';
  it.each<[unknown, string]>([
    ['amqp://localhost', 'must be a map of options'],
    [['amqp://localhost'], 'must be a map of options'],
    [{ url: 'localhost:5672' }, isUrl],
    [{ url: 'http://localhost' }, isUrl],
    [{ url: 5672 }, isUrl],
    [{ url: 'amqp://localhost/%zz' }, isUrl],
    [{ url: 'amqp://user:100%@localhost' }, isUrl],
    [{ urls: { shop: 'shop' } }, `urls.shop ${isUrl}`],
    [{ urls: 'amqp://localhost' }, 'urls must be a map'],
    [{ urls: ['amqp://localhost'] }, 'urls must be a map'],
    [{ enabled: 'no' }, 'enabled must be true or false'],
    [{ enabled: 0 }, 'enabled must be true or false'],
    [{ autoCreate: 'yes' }, 'autoCreate must be true or false'],
    [{ autoCreate: { durable: false } }, 'autoCreate must be true, false, or "arguments:"'],
    [{ autoCreate: { arguments: ['x'] } }, 'autoCreate must be true, false, or "arguments:"'],
    [{ reportAfterFailures: -1 }, 'reportAfterFailures must be a whole number'],
    [{ reportAfterFailures: 1.5 }, 'reportAfterFailures must be a whole number'],
    [{ reportAfterFailures: 'often' }, 'reportAfterFailures must be a whole number'],
    [{ reportAfterFailures: true }, 'reportAfterFailures must be a whole number'],
  ])('refuses %j', (section, reason) => {
    const given = typeof section === 'object' && !Array.isArray(section) ? { url, ...section } : section;
    expect(() => readSection(given)).toThrow(reason);
  });

  it.each(['autocreate', 'URL', 'virtualHost', 'queue', 'constructor'])(
    'refuses the unknown option %s in one line that names the options',
    (name) => {
      expect(() => readSection({ url, [name]: true })).toThrow(
        new RangeError(
          `custom.serverless-offline-rabbitmq.${name} is unknown; ` +
            'the options are url, urls, enabled, autoCreate, reportAfterFailures.',
        ),
      );
    },
  );

  it('is refused with every reason at once, without the password of a URL', () => {
    const section = { url: 'http://user:secret@host', autocreate: true, enabled: 'no' };
    expect(() => readSection(section)).toThrow(/autocreate is unknown.*\n.*enabled must.*\n.*url must/);
    expect(() => readSection(section)).not.toThrow('secret');
  });
});
