import type { Message } from 'amqplib';
import { describe, expect, it } from 'vitest';
import {
  basicPropertiesOf,
  buildEvent,
  buildRecord as buildRecordOf,
  formatTimestamp,
  recordBytesOf,
} from '../src/event.ts';

const origin = {
  eventSourceArn:
    'arn:aws:mq:us-west-2:111122223333:broker:pizzaBroker:b-9bcfa592-423a-4942-879d-eb284b418fc8',
  queue: 'pizzaQueue',
  virtualHost: '/',
};

const buildRecord = (message: Message) => buildRecordOf(message, basicPropertiesOf(message));

/** A message as amqplib delivers one on which nothing is set. */
const bareMessage = (content: string, properties: Partial<Message['properties']> = {}): Message => ({
  content: Buffer.from(content),
  fields: { deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'pizzaQueue', consumerTag: 'c' },
  properties: {
    contentType: undefined,
    contentEncoding: undefined,
    headers: undefined,
    deliveryMode: undefined,
    priority: undefined,
    correlationId: undefined,
    replyTo: undefined,
    expiration: undefined,
    messageId: undefined,
    timestamp: undefined,
    type: undefined,
    userId: undefined,
    appId: undefined,
    clusterId: undefined,
    ...properties,
  },
});

describe('the aws:rmq event', () => {
  it("is AWS's documented sample, byte for byte", () => {
    const message = bareMessage('{"timeout":0,"data":"CZrmf0Gw8Ov4bqLQxD4E"}', {
      contentType: 'text/plain',
      headers: { header1: 'value1', header2: 'value2', numberInHeader: 10 },
      deliveryMode: 1,
      priority: 34,
      expiration: '60000',
      timestamp: 2021,
      userId: 'AIDACKCEVSQ6C2EXAMPLE',
    });

    // The documented sample says bodySize 80 for these 43 bytes, which no broker would.
    expect(JSON.stringify(buildEvent(origin, [buildRecord(message)]))).toBe(
      '{"eventSource":"aws:rmq",' +
        '"eventSourceArn":"arn:aws:mq:us-west-2:111122223333:broker:pizzaBroker:b-9bcfa592-423a-4942-879d-eb284b418fc8",' +
        '"rmqMessagesByQueue":{"pizzaQueue::/":[{"basicProperties":{"contentType":"text/plain","contentEncoding":null,' +
        '"headers":{"header1":{"bytes":[118,97,108,117,101,49]},"header2":{"bytes":[118,97,108,117,101,50]},' +
        '"numberInHeader":10},"deliveryMode":1,"priority":34,"correlationId":null,"replyTo":null,' +
        '"expiration":"60000","messageId":null,"timestamp":"Jan 1, 1970, 12:33:41 AM","type":null,' +
        '"userId":"AIDACKCEVSQ6C2EXAMPLE","appId":null,"clusterId":null,"bodySize":43},"redelivered":false,' +
        '"data":"eyJ0aW1lb3V0IjowLCJkYXRhIjoiQ1pybWYwR3c4T3Y0YnFMUXhENEUifQ=="}]}}',
    );
  });

  it('has null for all that a message leaves out', () => {
    const { basicProperties, data } = buildRecord(bareMessage(''));
    expect(data).toBe('');
    expect(basicProperties).toEqual({
      contentType: null,
      contentEncoding: null,
      headers: null,
      deliveryMode: null,
      priority: null,
      correlationId: null,
      replyTo: null,
      expiration: null,
      messageId: null,
      timestamp: null,
      type: null,
      userId: null,
      appId: null,
      clusterId: null,
      bodySize: 0,
    });
  });

  it('writes headers as the Java client and Gson do: signed bytes, dates in words, nested tables and lists', () => {
    const headers = {
      text: 'é',
      flag: true,
      nothing: null,
      raw: Buffer.from([0, 127, 128, 255]),
      price: { '!': 'decimal', value: { places: 2, digits: 1999 } },
      deaths: [{ count: 3, reason: 'rejected', time: { '!': 'timestamp', value: 0 }, 'routing-keys': ['a'] }],
    };
    const { basicProperties } = buildRecord(bareMessage('', { headers }));
    expect(basicProperties.headers).toEqual({
      text: { bytes: [-61, -87] },
      flag: true,
      nothing: null,
      raw: [0, 127, -128, -1],
      price: 19.99,
      deaths: [
        {
          count: 3,
          reason: { bytes: [114, 101, 106, 101, 99, 116, 101, 100] },
          time: 'Jan 1, 1970, 12:00:00 AM',
          'routing-keys': [{ bytes: [97] }],
        },
      ],
    });
  });

  it.each<[string, unknown, unknown]>([
    ['a float', Math.fround(0.1), 0.1],
    ['a negative float', Math.fround(-2.3), -2.3],
    ['a float of many digits', Math.fround(16_777.217), 16_777.217],
    ['the largest float', Math.fround(3.4028235e38), 3.4028235e38],
    ['the smallest float', 2 ** -149, 1e-45],
    ['a float without a rest', Math.fround(1.5), 1.5],
    ['a double', 0.1, 0.1],
    ['a double of many digits', Math.PI, Math.PI],
    ['a large float', Math.fround(1e20), 1e20],
    ['a large double', 1.234e20, 1.234e20],
    ['an integer', 2 ** 31, 2 ** 31],
    ['a long above 2^53', Number(2n ** 63n - 1n), 2 ** 63],
    ['NaN', Number.NaN, null],
    ['infinity', Number.NEGATIVE_INFINITY, null],
    ['a negative decimal', { '!': 'decimal', value: { places: 2, digits: 2 ** 32 - 1999 } }, -19.99],
    ['a tiny decimal', { '!': 'decimal', value: { places: 23, digits: 1 } }, 1e-23],
    ['a decimal without places', { '!': 'decimal', value: { places: 0, digits: 7 } }, 7],
  ])('writes %s in a header as Java does', (_, value, written) => {
    const headers = { plain: value, list: [value], table: { inside: value } };
    const { basicProperties } = buildRecord(bareMessage('', { headers }));
    expect(basicProperties.headers).toEqual({
      plain: written,
      list: [written],
      table: { inside: written },
    });
  });

  it('counts the bytes that a record takes in the payload', () => {
    const messages = ['', 'ß → 漢字', 'x'.repeat(10_000)].map((body) =>
      bareMessage(body, { headers: { name: 'é"\n' }, type: '→' }),
    );
    const payloadBytes = Buffer.byteLength(JSON.stringify(messages.map(buildRecord)));
    const counted = messages.map((message) => recordBytesOf(message, basicPropertiesOf(message)));
    const brackets = 2;
    const noCommaAtTheEnd = 1;
    expect(counted.reduce((sum, bytes) => sum + bytes, brackets - noCommaAtTheEnd)).toBe(payloadBytes);
  });
});

describe('formatTimestamp', () => {
  it.each([
    [0, 'Jan 1, 1970, 12:00:00 AM'],
    [12 * 3600, 'Jan 1, 1970, 12:00:00 PM'],
    [1_709_251_199, 'Feb 29, 2024, 11:59:59 PM'],
    [1_735_707_909, 'Jan 1, 2025, 5:05:09 AM'],
  ])('%d seconds are %s', (seconds, written) => {
    expect(formatTimestamp(seconds)).toBe(written);
  });

  it('is null for a value that is no date', () => {
    expect(formatTimestamp(2 ** 63)).toBeNull();
  });
});
