import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInstant } from '#lib/domain/instant.ts';

const two = (value: number) => String(value).padStart(2, '0');

/** Any instant of the years 0001 to 9998, written in any way that RFC 3339 allows. */
const written = fc
  .record({
    timeMs: fc.integer({ min: Date.parse('0001-01-01T00:00:00Z'), max: Date.parse('9998-12-31T00:00:00Z') }),
    separator: fc.constantFrom('T', 't', ' '),
    offsetMinutes: fc.integer({ min: -(23 * 60 + 59), max: 23 * 60 + 59 }),
    offsetForm: fc.constantFrom('Z', 'z', '+hh:mm', '+hhmm', '+hh'),
    moreDigits: fc.stringMatching(/^\d{0,9}$/),
    minus: fc.boolean(),
  })
  .map(({ timeMs, separator, offsetMinutes: minutes, offsetForm, moreDigits, minus }) => {
    const isUtc = offsetForm.length === 1;
    const offsetMinutes = offsetForm === '+hh' ? minutes - (minutes % 60) : minutes;
    const local = new Date(timeMs + (isUtc ? 0 : offsetMinutes * 60_000)).toISOString().replace('Z', '');
    const [date, time] = local.split('T');
    const size = Math.abs(offsetMinutes);
    const sign = offsetMinutes < 0 || (offsetMinutes === 0 && minus) ? '-' : '+';
    const hours = two(Math.floor(size / 60));
    const minutesOf: Record<string, string> = { '+hh:mm': `:${two(size % 60)}`, '+hhmm': two(size % 60) };
    const offset = isUtc ? offsetForm : `${sign}${hours}${minutesOf[offsetForm] ?? ''}`;
    return { text: `${date}${separator}${time}${moreDigits}${offset}`, timeMs };
  });

describe('an instant', () => {
  it('is read to the millisecond, however it is written', () => {
    fc.assert(
      fc.property(written, ({ text, timeMs }) => {
        expect(parseInstant(text), text).toBe(timeMs);
      }),
    );
  });

  it.each([
    ['1985-04-12T23:20:50.52Z', '1985-04-12T23:20:50.520Z'],
    ['1996-12-19T16:39:57-08:00', '1996-12-20T00:39:57.000Z'],
    ['1990-12-31T23:59:60Z', '1991-01-01T00:00:00.000Z'],
    ['1990-12-31T15:59:60-08:00', '1991-01-01T00:00:00.000Z'],
    ['2016-12-31t23:59:60.25z', '2017-01-01T00:00:00.250Z'],
    ['1937-01-01T12:00:27.87+00:20', '1937-01-01T11:40:27.870Z'],
    ['2024-02-29 00:00:00-00:00', '2024-02-29T00:00:00.000Z'],
    ['2026-03-01T10:30:00+0100', '2026-03-01T09:30:00.000Z'],
    ['2026-03-01T09:30:00.123456789Z', '2026-03-01T09:30:00.123Z'],
    ['2026-03-01 09:30:00+00', '2026-03-01T09:30:00.000Z'],
    ['2026-03-01t10:30:00.5+01', '2026-03-01T09:30:00.500Z'],
    ['2026-03-01 04:00:00-0530', '2026-03-01T09:30:00.000Z'],
    ['1990-12-31 15:59:60-08', '1991-01-01T00:00:00.000Z'],
    [`2026-03-01T09:30:00.${'1'.repeat(1_000)}z`, '2026-03-01T09:30:00.111Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(new Date(parseInstant(text) ?? Number.NaN).toISOString()).toBe(iso);
  });

  it.each([
    '',
    'yesterday',
    '2024-05-01',
    '2024-05-01T12:00:00',
    '2024-05-01T12:00Z',
    '2024-05-01T12:00:00.Z',
    '2024-05-01T12:00:00,5Z',
    '2024-05-01T12:00:00+1',
    '2024-05-01T12:00:00+010',
    '2024-05-01T12:00:00+01:',
    '2024-05-01T12:00:00+25',
    '2024-05-01T12:00:00 +01:00',
    '2024-05-01T12:00:00Z+01',
    '2024-05-01  12:00:00Z',
    '2024-05-01T12:00:00−01:00',
    '2024-05-01T12:00:00+25:00',
    '2024-05-01T12:00:00+01:60',
    '2024-05-01T24:00:00Z',
    '2024-05-01T12:60:00Z',
    '2024-05-01T12:00:61Z',
    '2024-05-01T12:00:60Z',
    '2024-05-01T23:59:60Z',
    '2023-02-29T12:00:00Z',
    '2024-00-01T12:00:00Z',
    '2024-13-01T12:00:00Z',
    '2024-04-31T12:00:00Z',
    '2024-04-00T12:00:00Z',
    '20240501T120000Z',
    '+275760-09-13T00:00:00Z',
    '2024-05-01T12:00:00Z ',
    ' 2024-05-01T12:00:00Z',
    '2024-05-01T12:00:00Z\n',
    '2024-05-01_12:00:00Z',
    '２０２４-05-01T12:00:00Z',
  ])('%j is none', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });
});
