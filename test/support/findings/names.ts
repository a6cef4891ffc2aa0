import type { Template } from '../packages.ts';

/** Properties that end like a name and name something that others may name alike. */
const notUnique = new Set([
  'MetricName',
  'ServiceName',
  'StageName',
  'DatabaseName',
  'DBName',
  'CACertificateIdentifier',
]);
const isName = (property: string) => /(^|[a-z])(Name|Identifier)$/.test(property) && !notUnique.has(property);

/** Pseudo parameters of CloudFormation that differ between two stacks. */
const ofStack = (stackName: string) => ({
  'AWS::StackName': stackName,
  'AWS::StackId': `arn:aws:cloudformation:eu-west-1:000000000000:stack/${stackName}/${stackName}`,
});

/** The value as one stack has it. Undefined where it comes from another resource, whose own name counts. */
const valueIn = (value: unknown, stackName: string, resources: Template['Resources']): string | undefined => {
  let text = JSON.stringify(value);
  for (const [name, own] of Object.entries(ofStack(stackName)))
    text = text.replaceAll(`{"Ref":"${name}"}`, `"${own}"`).replaceAll(`\${${name}}`, own);
  const references = [...text.matchAll(/"(?:Ref|Fn::GetAtt)":\[?"([\w:]+)"|\$\{([\w:]+)[.}]/g)];
  const isDerived = references.some(([, first, second]) => `${first ?? second}` in resources);
  return isDerived ? undefined : text;
};

type Name = { id: string; type: string; property: string; value: unknown };

/** The names of resources, and of exported outputs. */
const namesOf = ({ Resources, Outputs = {} }: Template): Name[] => [
  ...Object.entries(Resources).flatMap(([id, { Type, Properties }]) =>
    Object.entries(Properties ?? {})
      .filter(([property]) => isName(property))
      .map(([property, value]) => ({ id, type: Type, property, value })),
  ),
  ...Object.entries(Outputs).flatMap(([id, { Export }]) =>
    Export === undefined ? [] : [{ id, type: 'output', property: 'export Name', value: Export.Name }],
  ),
];

/**
 * Names that two stages would both give, in one account and region. The second stage could not be created.
 *
 * @param templates by the names of their stacks
 */
export const nameFindings = (templates: Record<string, Template>): string[] => {
  const owners = new Map<string, string>();
  const findings: string[] = [];
  for (const [stackName, template] of Object.entries(templates)) {
    for (const { id, type, property, value } of namesOf(template)) {
      const name = valueIn(value, stackName, template.Resources);
      if (name === undefined) continue;
      const key = `${type} ${property} ${name}`;
      const owner = owners.get(key);
      if (owner !== undefined && owner !== stackName)
        findings.push(`${id} has the ${property} ${name} in ${owner} and in ${stackName}`);
      owners.set(key, stackName);
    }
  }
  return findings;
};
