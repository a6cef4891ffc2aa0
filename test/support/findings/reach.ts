import { readableSecrets } from '../cell.ts';
import type { Resource, Template } from '../packages.ts';
import { findExit, findPath, referenceOf } from './network.ts';

/** Where each type of server keeps its security groups. */
const groupsOf: Record<string, (properties: Resource['Properties']) => unknown[]> = {
  'AWS::RDS::DBCluster': ({ VpcSecurityGroupIds }) => VpcSecurityGroupIds,
  'AWS::RDS::DBInstance': ({ VPCSecurityGroups }) => VPCSecurityGroups,
  'AWS::MemoryDB::Cluster': ({ SecurityGroupIds }) => SecurityGroupIds,
  'AWS::AmazonMQ::Broker': ({ SecurityGroups }) => SecurityGroups,
  'AWS::OpenSearchService::Domain': ({ VPCOptions }) => VPCOptions.SecurityGroupIds,
};
const defaultPorts: Record<string, number> = { amqps: 5671, https: 443, rediss: 6379, mysql: 3306 };

const ids = (values: unknown[] | undefined): string[] =>
  (values ?? []).map((value) => `${referenceOf(value)}`);
const isId = (id: string | undefined): id is string => id !== undefined;

/** The server whose URL a secret holds, and its port. Undefined for a secret that is no URL. */
const serverOf = ({ Resources }: Template, secret: string): { id: string; port: number } | undefined => {
  const text = JSON.stringify(Resources[secret]?.Properties.SecretString ?? '');
  const [, scheme = '', port] = /"(\w+):\/\/[^@]*@[^"]*?(?::(\d+))?(?:\/[^"]*)?"/.exec(text) ?? [];
  const id = Object.keys(Resources).find(
    (one) =>
      Resources[one] !== undefined &&
      groupsOf[Resources[one].Type] !== undefined &&
      (text.includes(`\${${one}.`) || text.includes(`["${one}",`)),
  );
  return id === undefined ? undefined : { id, port: Number(port ?? defaultPorts[scheme]) };
};

/** Settings of a function that it reads from secrets: the setting's name and the secret's logical id. */
const secretSettings = ({ Properties }: Resource): [string, string][] =>
  Object.entries(Properties.Environment?.Variables ?? {}).flatMap(([name, value]) => {
    const id = referenceOf(value);
    return name.startsWith('SECRET_ARN_') && isId(id) ? [[name, id] as [string, string]] : [];
  });

const secretsEndpoint = ({ Resources }: Template): Resource | undefined =>
  Object.values(Resources).find(
    ({ Type, Properties }) =>
      Type === 'AWS::EC2::VPCEndpoint' &&
      Properties.PrivateDnsEnabled === true &&
      JSON.stringify(Properties.ServiceName).endsWith('.secretsmanager"}'),
  );

/** Logical ids of the custom resources that a function answers. */
const customResourcesOf = ({ Resources }: Template, functionId: string): Resource[] =>
  Object.values(Resources).filter(
    ({ Type, Properties }) =>
      Type.startsWith('Custom::') && referenceOf(Properties.ServiceToken) === functionId,
  );

/** CloudFormation reads the answer of a custom resource from S3, which is reached through the subnets' route tables. */
const reachesS3 = ({ Resources }: Template, subnets: string[]): boolean => {
  const gateways = Object.values(Resources).filter(
    ({ Type, Properties }) =>
      Type === 'AWS::EC2::VPCEndpoint' &&
      Properties.VpcEndpointType === 'Gateway' &&
      JSON.stringify(Properties.ServiceName).endsWith('.s3"}'),
  );
  const tables = gateways.flatMap(({ Properties }) => ids(Properties.RouteTableIds));
  const routed = Object.values(Resources).flatMap(({ Type, Properties }) =>
    Type === 'AWS::EC2::SubnetRouteTableAssociation' &&
    tables.includes(`${referenceOf(Properties.RouteTableId)}`)
      ? [referenceOf(Properties.SubnetId)]
      : [],
  );
  return subnets.every((subnet) => routed.includes(subnet));
};

/** What one function may not reach or read, though it needs it. */
const findingsOfFunction = (template: Template, id: string, lambda: Resource): string[] => {
  const { Resources } = template;
  const groups = ids(lambda.Properties.VpcConfig?.SecurityGroupIds);
  const subnets = ids(lambda.Properties.VpcConfig?.SubnetIds);
  const role = Resources[`${referenceOf(lambda.Properties.Role)}`];
  const readable = role === undefined ? [] : readableSecrets(role);
  const settings = secretSettings(lambda);
  const held = [...new Set([...settings.map(([, secret]) => secret), ...readable])];
  const findings = settings.flatMap(([name, secret]) =>
    readable.includes(secret) ? [] : [`${id} has ${name}, and its role may not read ${secret}`],
  );
  const rules: string[] = [];
  const need = (name: string, path: string[] | undefined) => {
    if (path === undefined) findings.push(`${id} does not reach ${name}`);
    else rules.push(...path);
  };
  const endpoint = secretsEndpoint(template)?.Properties;
  if (held.length > 0)
    need('the Secrets Manager endpoint', findPath(template, groups, ids(endpoint?.SecurityGroupIds), 443));
  for (const secret of held) {
    const server = serverOf(template, secret);
    const target = server === undefined ? undefined : Resources[server.id];
    if (server === undefined || target === undefined) continue; // a password alone
    const serverGroups = ids(groupsOf[target.Type]?.(target.Properties));
    need(`${server.id} on port ${server.port}`, findPath(template, groups, serverGroups, server.port));
  }
  const customResources = customResourcesOf(template, id);
  if (customResources.length > 0) {
    const exit = findExit(template, groups, 443);
    need('S3', exit !== undefined && reachesS3(template, subnets) ? [exit] : undefined);
  }
  for (const { DependsOn } of customResources)
    for (const rule of rules)
      if (Resources[rule]?.Type !== 'AWS::EC2::SecurityGroup' && ![DependsOn].flat().includes(rule))
        findings.push(`${id} runs as a custom resource, which does not wait for ${rule}`);
  return findings;
};

/**
 * Every function must read the secrets that it has, and reach their servers and the Secrets Manager endpoint, by security
 * groups and rules. The function of a custom resource must also reach S3, and its rules must exist before it runs.
 */
export const reachFindings = (template: Template): string[] =>
  Object.entries(template.Resources).flatMap(([id, resource]) =>
    resource.Type === 'AWS::Lambda::Function' ? findingsOfFunction(template, id, resource) : [],
  );
