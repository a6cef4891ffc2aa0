/** RFC 3339, 5.6, also with a space instead of `T` (its note), and with an offset without a colon or without minutes. */
const grammar =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)$/;

const MINUTE_MS = 60_000;

const number = (digits: string | undefined): number => (digits === undefined ? 0 : Number(digits));

/** Milliseconds since 1970 of a date and time in UTC; undefined for a day that does not exist. */
const epochOf = (year: number, month: number, day: number): number | undefined => {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // not Date.UTC, which reads the year 50 as 1950
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : undefined;
};

/** A leap second is the last second of a month in UTC. */
const endsMonth = (nextSecondMs: number): boolean => {
  const date = new Date(nextSecondMs);
  return date.getUTCDate() === 1 && nextSecondMs % (24 * 60 * MINUTE_MS) === 0;
};

/**
 * Reads a date and time with an offset (RFC 3339).
 * @returns milliseconds since the epoch, further digits cut off; a leap second counts as the second that follows it.
 *   Undefined for any other text
 */
export const parseInstant = (text: string): number | undefined => {
  const match = grammar.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour, offsetMinute] = match;
  const dayMs = epochOf(number(year), number(month), number(day));
  if (dayMs === undefined || number(hour) > 23 || number(minute) > 59 || number(second) > 60)
    return undefined;
  if (number(offsetHour) > 23 || number(offsetMinute) > 59) return undefined;
  const offsetMinutes = (number(offsetHour) * 60 + number(offsetMinute)) * (sign === '-' ? -1 : 1);
  const minuteMs = dayMs + (number(hour) * 60 + number(minute) - offsetMinutes) * MINUTE_MS;
  const secondMs = minuteMs + number(second) * 1_000;
  if (number(second) === 60 && !endsMonth(secondMs)) return undefined;
  return secondMs + number(fraction.slice(0, 3).padEnd(3, '0'));
};
