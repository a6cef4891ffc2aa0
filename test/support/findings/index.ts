import type { Template } from '../packages.ts';
import { nameFindings } from './names.ts';
import { reachFindings } from './reach.ts';
import { rollbackFindings } from './rollback.ts';
import { throttleFindings } from './throttles.ts';

/**
 * What neither cfn-lint nor checkov sees, and what a first deploy would fail on.
 *
 * @param templates of stages of one account and region, by the names of their stacks
 */
export const templateFindings = (templates: Record<string, Template>): string[] => [
  ...nameFindings(templates),
  ...Object.entries(templates).flatMap(([stackName, template]) =>
    [...reachFindings(template), ...rollbackFindings(template), ...throttleFindings(template)].map(
      (finding) => `${stackName}: ${finding}`,
    ),
  ),
];
