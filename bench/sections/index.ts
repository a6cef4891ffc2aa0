import { Failure, type ServiceName } from '../../local/services/index.ts';
import type { Section } from '../section.ts';
import { accept } from './accept.ts';
import { consumers } from './consume.ts';
import { erasure } from './erasure.ts';
import { growth } from './growth.ts';
import { heal } from './heal.ts';
import { http } from './http.ts';
import { path } from './path.ts';

const ALL: ServiceName[] = ['mysql', 'redis', 'rabbitmq', 'opensearch'];

/** In the order of the table. Sections of one group share servers. */
export const sections = {
  accept: { run: accept, group: 'accept', only: ALL.slice(0, 3) },
  consumers: { run: consumers, group: 'consumers', only: ALL },
  http: { run: http, group: 'api', only: ALL },
  path: { run: path, group: 'api', only: ALL },
  heal: { run: heal, group: 'api', only: ALL },
  growth: { run: growth, group: 'api', only: ALL },
  erasure: { run: erasure, group: 'erasure', only: ALL },
} satisfies Record<
  string,
  { run: Section; group: 'accept' | 'consumers' | 'api' | 'erasure'; only: ServiceName[] }
>;

const groupsWithApi = ['api', 'erasure'];

export type SectionName = keyof typeof sections;

export const isSectionName = (name: string): name is SectionName => Object.hasOwn(sections, name);

/**
 * Sections by name in groups that share servers; all of them for no name.
 * @throws Failure for an unknown name
 */
export const groupsOf = (names: readonly string[]): SectionName[][] => {
  const known = Object.keys(sections).filter(isSectionName);
  const unknown = names.find((name) => !isSectionName(name));
  if (unknown !== undefined)
    throw new Failure(`There is no section "${unknown}". Expected some of: ${known.join(', ')}.`);
  const wanted = known.filter((section) => names.length === 0 || names.includes(section));
  return [...Map.groupBy(wanted, (section) => sections[section].group).values()];
};

/** Servers of a group of sections, and whether the API runs in front of them. */
export const needs = ([first]: readonly SectionName[]): { withApi: boolean; only: ServiceName[] } => ({
  withApi: first !== undefined && groupsWithApi.includes(sections[first].group),
  only: first === undefined ? [] : sections[first].only,
});
