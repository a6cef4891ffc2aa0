import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

/*
 * A command has one contract, and the producer, the script, the consumer and the table take their types from it. This test
 * renames each field of each contract, in memory, and expects the compiler to stop at each of them.
 */

const root = resolve(import.meta.dirname, '../..');
const inRoot = (file: string) => join(root, file);

type Sides = { producers: readonly string[]; script: string; consumer: readonly string[]; assigned?: string };
const commands: Record<string, Sides> = {
  'create-application': {
    producers: ['functions/http/applications/create-application.ts'],
    script: 'lib/redis/commands/create-application.ts',
    consumer: ['lib/mysql/applications.ts'],
  },
  'update-application': {
    producers: [
      'functions/http/applications/update-application.ts',
      'functions/http/applications/delete-application.ts',
    ],
    script: 'lib/redis/commands/update-application.ts',
    consumer: ['lib/mysql/applications.ts'],
  },
  'create-chat': {
    producers: ['functions/http/chats/create-chat.ts'],
    script: 'lib/redis/commands/create-chat.ts',
    consumer: ['lib/mysql/chats.ts'],
    assigned: 'chatNumber',
  },
  'update-chat': {
    producers: ['functions/http/chats/update-chat.ts', 'functions/http/chats/delete-chat.ts'],
    script: 'lib/redis/commands/update-chat.ts',
    consumer: ['lib/mysql/chats.ts'],
  },
  'create-message': {
    producers: ['functions/http/messages/create-message.ts'],
    script: 'lib/redis/commands/create-message.ts',
    consumer: ['lib/mysql/messages.ts'],
    assigned: 'messageNumber',
  },
  'update-message': {
    producers: ['functions/http/messages/update-message.ts', 'functions/http/messages/delete-message.ts'],
    script: 'lib/redis/commands/update-message.ts',
    consumer: ['lib/mysql/messages.ts'],
  },
};

const contractOf = (name: string) => inRoot(`lib/contracts/commands/${name}.ts`);

/** The fields of a contract's own object, such as `chatNumber: number` and `body`. */
const fieldsOf = (name: string): string[] => {
  const [, fields = ''] =
    /\.object\(\{([^}]*)\.\.\.origin/s.exec(readFileSync(contractOf(name), 'utf8')) ?? [];
  return [...fields.matchAll(/(\w+)(?::[^,]*)?,/g)].map(([, field = '']) => field);
};

/** The contract with one field renamed. */
const renamed = (text: string, field: string): string =>
  text.replace(/(\.object\(\{)([^}]*)(\.\.\.origin)/s, (_all, head, fields: string, tail) => {
    const list = fields.replace(new RegExp(`\\b${field}\\b(:[^,]*)?,`), (_field, value?: string) =>
      value === undefined ? `renamed: ${field},` : `renamed${value},`,
    );
    return `${head}${list}${tail}`;
  });

const config = ts.readConfigFile(inRoot('tsconfig.json'), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);

let earlier: ts.Program | undefined;

const filesOf = ({ producers, script, consumer }: Sides) => [...producers, script, ...consumer];

/** The files among these in which the compiler finds an error. @param changed other texts of files, by their paths */
const filesWithErrors = (files: readonly string[], changed: ReadonlyMap<string, string>): Set<string> => {
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (file, ...more) => {
    const text = changed.get(resolve(file));
    if (text !== undefined) return ts.createSourceFile(file, text, ts.ScriptTarget.ES2024);
    return earlierFile(file) ?? getSourceFile(file, ...more);
  };
  const program = ts.createProgram(files.map(inRoot), options, host);
  earlier ??= program;
  return new Set(
    files.filter((file) => program.getSemanticDiagnostics(program.getSourceFile(inRoot(file))).length > 0),
  );
};
const contracts = new Set(Object.keys(commands).map(contractOf));
const earlierFile = (file: string): ts.SourceFile | undefined =>
  contracts.has(resolve(file)) ? undefined : earlier?.getSourceFile(file);

test('the project itself has no error', () => {
  const files = new Set(Object.values(commands).flatMap(filesOf));
  expect(filesWithErrors([...files], new Map())).toEqual(new Set());
});

describe.each(Object.entries(commands))('%s', (name, sides) => {
  const { producers, script, consumer, assigned } = sides;
  test.each(fieldsOf(name))('a renamed %s stops the compiler on both sides of the queue', (field) => {
    const text = readFileSync(contractOf(name), 'utf8');
    const changed = renamed(text, field);
    expect(changed).not.toBe(text);
    const files = filesWithErrors(filesOf(sides), new Map([[contractOf(name), changed]]));
    expect(files).toContain(script);
    expect(consumer.some((file) => files.has(file))).toBe(true);
    // Accepting assigns this field, so its producer gives none.
    if (field !== assigned) expect(producers.some((file) => files.has(file))).toBe(true);
  });
});
