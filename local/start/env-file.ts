import { isUtf8 } from 'node:buffer';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseEnv } from 'node:util';
import { Failure, messageOf } from '../services/index.ts';

type Setting = { name: string; value: string; line: number };

/** The settings of a file in its order. Faults and hints name the file and the line, and show no value. */
export type EnvFile = { settings: Setting[]; faults: string[]; hints: string[] };

const assignment = /^\s*(?:export\s+)?([^\s=#]+)\s*=(.*)$/;
/** Nothing but a comment may follow the second quote. */
const quoted = /^\s*(["'`]).*?\1\s*(?:#.*)?$/;

/** Whether an unquoted value ends at a `#` that does not follow a space, as the one of a comment does. */
const isCut = (text: string): boolean => /^[^#]*(?<!\s)#/.test(text);

/** Reads one line. A value never continues on the next line, so that a missing quote takes no other settings along. */
const readLine = (text: string, place: string, line: number, { settings, faults, hints }: EnvFile): void => {
  if (/^\s*(#|$)/.test(text)) return;
  const [, name, written = ''] = assignment.exec(text) ?? [];
  if (name === undefined) {
    faults.push(`${place}: Expected NAME=value.`);
    return;
  }
  const isQuoted = /^\s*["'`]/.test(written);
  if (isQuoted && !quoted.test(written)) {
    faults.push(`${place}: ${name}: Its first quote has no second one at the end of the line.`);
    return;
  }
  if (!isQuoted && isCut(written))
    hints.push(`${place}: ${name}: The value ends before "#". Put it in quotes if "#" belongs to it.`);
  if (settings.some((setting) => setting.name === name))
    hints.push(`${place}: ${name} is set a second time. This line counts.`);
  settings.push({ name, value: parseEnv(`${name}=${written}`)[name] ?? '', line });
};

/**
 * Reads a file of settings; a missing file has none. A byte order mark is skipped.
 * @throws Failure if the file cannot be read as text
 */
export const readEnvFile = (path: string): EnvFile => {
  const found: EnvFile = { settings: [], faults: [], hints: [] };
  if (!existsSync(path)) return found;
  const file = basename(path);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new Failure(`${file} cannot be read: ${messageOf(error)}`);
  }
  if (!isUtf8(bytes) || bytes.includes(0)) throw new Failure(`${file} is not UTF-8 text. Save it as UTF-8.`);
  const lines = bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/);
  for (const [at, text] of lines.entries()) readLine(text, `${file}:${at + 1}`, at + 1, found);
  return found;
};
