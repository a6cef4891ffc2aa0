import type { Resource, Template } from '../packages.ts';

/** `port` undefined: all ports. */
type Rule = {
  id: string;
  direction: 'in' | 'out';
  group: string;
  other: string;
  from: number;
  to: number;
};

const anywhere = new Set(['0.0.0.0/0', '::/0']);

/** The logical id that `{Ref}` or `{Fn::GetAtt}` names. */
export const referenceOf = (value: unknown): string | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('Ref' in value && typeof value.Ref === 'string') return value.Ref;
  if ('Fn::GetAtt' in value && Array.isArray(value['Fn::GetAtt'])) return String(value['Fn::GetAtt'][0]);
  return undefined;
};

const ruleOf = (
  id: string,
  direction: Rule['direction'],
  group: string,
  properties: Resource['Properties'],
): Rule => {
  const other = properties[direction === 'in' ? 'SourceSecurityGroupId' : 'DestinationSecurityGroupId'];
  const isEveryPort = String(properties.IpProtocol) === '-1';
  return {
    id,
    direction,
    group,
    other: referenceOf(other) ?? String(properties.CidrIp ?? properties.CidrIpv6),
    from: isEveryPort ? 0 : Number(properties.FromPort),
    to: isEveryPort ? 65_535 : Number(properties.ToPort),
  };
};

/** All rules, inside of groups and as resources of their own. */
const rulesOf = ({ Resources }: Template): Rule[] =>
  Object.entries(Resources).flatMap(([id, { Type, Properties }]) => {
    if (Type === 'AWS::EC2::SecurityGroupIngress')
      return [ruleOf(id, 'in', String(referenceOf(Properties.GroupId)), Properties)];
    if (Type === 'AWS::EC2::SecurityGroupEgress')
      return [ruleOf(id, 'out', String(referenceOf(Properties.GroupId)), Properties)];
    if (Type !== 'AWS::EC2::SecurityGroup') return [];
    const { SecurityGroupIngress = [], SecurityGroupEgress } = Properties;
    // A group without rules of its own for traffic that leaves it lets all of it out.
    const out = SecurityGroupEgress ?? [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }];
    return [
      ...SecurityGroupIngress.map((rule: Resource['Properties']) => ruleOf(id, 'in', id, rule)),
      ...out.map((rule: Resource['Properties']) => ruleOf(id, 'out', id, rule)),
    ];
  });

/**
 * The path of a connection through security groups.
 *
 * @returns the logical ids of the two rules that let it pass; undefined if none do
 */
export const findPath = (
  template: Template,
  from: string[],
  to: string[],
  port: number,
): string[] | undefined => {
  const rules = rulesOf(template).filter((rule) => rule.from <= port && port <= rule.to);
  for (const source of from) {
    for (const target of to) {
      const out = rules.find(
        ({ direction, group, other }) =>
          direction === 'out' && group === source && (other === target || anywhere.has(other)),
      );
      const into = rules.find(
        ({ direction, group, other }) =>
          direction === 'in' && group === target && (other === source || anywhere.has(other)),
      );
      if (out !== undefined && into !== undefined) return [out.id, into.id];
    }
  }
  return undefined;
};

/** Whether a group lets a connection out to any address, for example to a gateway endpoint. */
export const findExit = (template: Template, from: string[], port: number): string | undefined =>
  rulesOf(template).find(
    (rule) =>
      rule.direction === 'out' &&
      from.includes(rule.group) &&
      anywhere.has(rule.other) &&
      rule.from <= port &&
      port <= rule.to,
  )?.id;
