import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeError, factsOf, withoutQuotes } from '#lib/domain/error-facts.ts';

describe('withoutQuotes', () => {
  it.each([
    ["Data too long for column 'body' at row 1", "Data too long for column '…' at row 1"],
    ["Duplicate entry 'it's \"one\"' for key 'users.email'", "Duplicate entry '…'"],
    [`Unexpected token 'M', "MARKER it's" is not valid JSON`, "Unexpected token '…' is not valid JSON"],
    ["Incorrect value: 'never closed", "Incorrect value: '…'"],
    ["Table 'chat.users' doesn't exist", "Table '…' does not exist"],
    ["Can't connect to 'db.internal' (111)", "Can't connect to '…' (111)"],
    ['connect ECONNREFUSED 127.0.0.1:3306', 'connect ECONNREFUSED 127.0.0.1:3306'],
    ['No answer from amqp://user:MARKER@127.0.0.1:5672/v', 'No answer from amqp://127.0.0.1:5672/v'],
    ['PUT https://bucket.example/key?signature=MARKER failed', 'PUT https://bucket.example/key failed'],
    ['', ''],
  ])('of %j is %j', (text, expected) => {
    expect(withoutQuotes(text)).toBe(expected);
  });

  it.each(["'", '"', '`'])(
    'drops every value that a message quotes with %s, also with marks in it',
    (mark) => {
      fc.assert(
        fc.property(fc.array(fc.constantFrom('a', "'", '"', '`', ' ', '\\', '\n')), (parts) => {
          const value = `${parts.join('')}MARKER${parts.join('')}`;
          expect(withoutQuotes(`Refused: ${mark}${value}${mark} is no value`)).not.toContain('MARKER');
          expect(withoutQuotes(`Refused: ${mark}${value}`)).not.toContain('MARKER');
        }),
      );
    },
  );
});

describe('factsOf', () => {
  it('contains no property of a driver', () => {
    const error = Object.assign(new Error("Duplicate entry 'MARKER' for key 'k'"), {
      code: 'ER_DUP_ENTRY',
      sqlState: '23000',
      sql: 'INSERT MARKER',
      command: { name: 'set', args: ['MARKER'] },
      meta: { body: 'MARKER' },
      errno: 1062,
    });
    const outer = new Error('outer', { cause: error });
    const facts = factsOf(outer);
    expect(JSON.stringify(facts)).not.toContain('MARKER');
    expect(facts).toMatchObject({ message: 'outer', cause: { code: 'ER_DUP_ENTRY', state: '23000' } });
    expect(facts.stack).toContain('error-facts.test.ts');
  });

  it('takes no message for a frame, and no text for a code', () => {
    const error = Object.assign(new Error("x\n    at MARKER (/tmp/'MARKER':1:1)"), {
      code: 'MARKER is no code',
    });
    expect(JSON.stringify(factsOf(error))).not.toContain('MARKER is');
    expect(factsOf(error).stack).not.toContain('MARKER');
  });

  it.each([['a MARKER'], [{ message: 'MARKER' }], [undefined], [17]])('says little about %j', (thrown) => {
    expect(JSON.stringify(factsOf(thrown))).not.toContain('MARKER');
  });
});

it('describes an error in one line', () => {
  const error = Object.assign(new Error("Data too long for column 'body' at row 1"), {
    code: 'ER_DATA_TOO_LONG',
    sqlState: '22001',
  });
  expect(describeError(error)).toBe("Data too long for column '…' at row 1 (ER_DATA_TOO_LONG, 22001)");
  expect(describeError(new Error('plain'))).toBe('plain');
});
